//! A command line of a page: words, quotes, and at most one filter after `|`.
//!
//! The commands beside `mc` are not the shell's: they are few, written here, and the same on every machine.

/// A command line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Command {
    /// The command and its arguments.
    pub(crate) words: Vec<String>,
    /// The part of its output that is shown.
    pub(crate) filter: Option<Filter>,
}

/// The part of an output that is shown.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Filter {
    /// `| head -n N`.
    Head(usize),
    /// `| tail -n N`.
    Tail(usize),
    /// `| grep TEXT`: lines that contain the text.
    Grep(String),
}

impl Command {
    /// Reads a command line.
    pub(crate) fn parse(line: &str) -> Result<Self, String> {
        let mut words = split(line)?;
        let Some(bar) = words.iter().position(|word| word == "|") else {
            return Ok(Self { words, filter: None });
        };
        let filter = words.split_off(bar);
        let filter: Vec<&str> = filter.iter().skip(1).map(String::as_str).collect();
        let count = |text: &str| text.parse().map_err(|_| format!("`{text}` is no number of lines"));
        let filter = match filter.as_slice() {
            ["head", "-n", number] => Filter::Head(count(number)?),
            ["tail", "-n", number] => Filter::Tail(count(number)?),
            ["grep", text] => Filter::Grep((*text).to_owned()),
            _ => return Err(format!("`{}` is no filter of the suite", filter.join(" "))),
        };
        Ok(Self { words, filter: Some(filter) })
    }
}

impl Filter {
    /// The lines that are shown.
    pub(crate) fn apply(&self, text: &str) -> String {
        let lines: Vec<&str> = text.lines().collect();
        let kept: Vec<&str> = match self {
            Self::Head(n_lines) => lines.into_iter().take(*n_lines).collect(),
            Self::Tail(n_lines) => lines[lines.len().saturating_sub(*n_lines)..].to_vec(),
            Self::Grep(pattern) => lines.into_iter().filter(|line| line.contains(pattern)).collect(),
        };
        kept.iter().map(|line| format!("{line}\n")).collect()
    }
}

fn split(line: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    for letter in line.chars() {
        match (quote, letter) {
            (Some(open), _) if letter == open => quote = None,
            (None, '\'' | '"') => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            (None, ' ') => words.extend(word.take()),
            _ => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word);
    if quote.is_some() { Err(format!("A quote in `{line}` has no end")) } else { Ok(words) }
}

#[test]
fn words_quotes_and_filters_are_read() {
    let command = Command::parse("mc query 'deps(//a:b)' | head -n 2").unwrap();
    assert_eq!(command.words, ["mc", "query", "deps(//a:b)"]);
    assert_eq!(command.filter, Some(Filter::Head(2)));
    assert_eq!(Command::parse("cat ''").unwrap().words, ["cat", ""]);
    assert!(Command::parse("cat 'a").is_err());
    assert!(Command::parse("cat a | sort").is_err());
}
