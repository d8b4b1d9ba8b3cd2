//! YAML as a tree with lines: mappings, sequences and scalars, one document, no aliases.
//!
//! Aliases are rejected because a few lines of them can expand to more than fits in memory.

use saphyr_parser::{Event, Parser, ScalarStyle, Span};

/// Maximum depth of a document; real files are five levels deep.
const MAX_DEPTH: usize = 64;

/// An error in a file, with its line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct YamlError {
    /// The line, from 1.
    pub(crate) line: usize,
    /// The expected and the actual content.
    pub(crate) what: String,
    /// Advice on how to fix it.
    pub(crate) help: Option<String>,
}

/// A part of a document.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Node {
    /// The line where it begins; for a value, the line of its key.
    pub(crate) line: usize,
    /// Its content.
    pub(crate) data: Data,
}

/// Content of a part of a document.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Data {
    /// A text, number or truth value.
    Scalar {
        /// The text as written, without quotes.
        text: String,
        /// True if the text was quoted: it is then always a text, never a number or a truth value.
        is_quoted: bool,
    },
    /// A list.
    Sequence(Vec<Node>),
    /// Keys and values in order; keys are unique.
    Mapping(Vec<(String, Node)>),
}

impl YamlError {
    /// An error without advice.
    pub(crate) fn new(line: usize, what: impl Into<String>) -> Self {
        Self { line, what: what.into(), help: None }
    }

    /// Adds advice.
    #[must_use]
    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

impl Node {
    /// Returns true for a null value.
    pub(crate) fn is_null(&self) -> bool {
        matches!(&self.data, Data::Scalar { text, is_quoted: false } if matches!(text.as_str(), "" | "~" | "null"))
    }

    /// A short description for messages.
    pub(crate) fn describe(&self) -> String {
        match &self.data {
            Data::Scalar { text, .. } => format!("`{text}`"),
            Data::Sequence(_) => "a list".to_owned(),
            Data::Mapping(_) => "a mapping".to_owned(),
        }
    }
}

/// Reads a file with one document.
///
/// # Errors
/// The first error.
pub(crate) fn parse(text: &str) -> Result<Node, YamlError> {
    let mut events = Events(Parser::new_from_str(text));
    let mut root = None;
    loop {
        let (event, line) = events.next()?;
        match event {
            Event::StreamEnd => break,
            Event::StreamStart | Event::DocumentStart(_) | Event::DocumentEnd | Event::Nothing => {}
            _ if root.is_some() => return Err(YamlError::new(line, "Expected one document, found a second")),
            event => root = Some(node(&mut events, event, line, 0)?),
        }
    }
    root.ok_or_else(|| YamlError::new(1, "The file is empty"))
}

struct Events<'a>(Parser<'a, saphyr_parser::StrInput<'a>>);

impl<'a> Events<'a> {
    fn next(&mut self) -> Result<(Event<'a>, usize), YamlError> {
        match self.0.next() {
            Some(Ok((event, Span { start, .. }))) => Ok((event, start.line())),
            Some(Err(error)) => {
                let what = format!("This is not YAML: {}", error.info());
                Err(YamlError::new(error.marker().line(), what))
            }
            None => Ok((Event::StreamEnd, 0)),
        }
    }
}

fn node<'a>(events: &mut Events<'a>, event: Event<'a>, line: usize, depth: usize) -> Result<Node, YamlError> {
    if depth > MAX_DEPTH {
        return Err(YamlError::new(line, format!("It is more than {MAX_DEPTH} levels deep")));
    }
    let data = match event {
        Event::Scalar(text, style, ..) => {
            Data::Scalar { text: text.into_owned(), is_quoted: style != ScalarStyle::Plain }
        }
        Event::SequenceStart(..) => {
            let mut items = Vec::new();
            loop {
                let (event, line) = events.next()?;
                if matches!(event, Event::SequenceEnd | Event::StreamEnd) {
                    break;
                }
                items.push(node(events, event, line, depth + 1)?);
            }
            Data::Sequence(items)
        }
        Event::MappingStart(..) => {
            let mut pairs: Vec<(String, Node)> = Vec::new();
            loop {
                let (event, line) = events.next()?;
                let key = match event {
                    Event::MappingEnd | Event::StreamEnd => break,
                    Event::Scalar(key, ..) => key.into_owned(),
                    _ => return Err(YamlError::new(line, "Expected a text as a key")),
                };
                if pairs.iter().any(|(known, _)| *known == key) {
                    return Err(YamlError::new(line, format!("`{key}` is given twice")));
                }
                // Errors of a value are reported at its key.
                let (event, _) = events.next()?;
                pairs.push((key, node(events, event, line, depth + 1)?));
            }
            Data::Mapping(pairs)
        }
        Event::Alias(_) => {
            return Err(
                YamlError::new(line, "Aliases (`*name`) are not supported").help("Write out its value")
            );
        }
        other => return Err(YamlError::new(line, format!("Expected a value, found {other:?}"))),
    };
    Ok(Node { line, data })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_quotes_are_kept() {
        let root = parse("# a comment\na: 1\nb:\n  - 'x'\n  - [0, 0.5]\n").unwrap();
        let Data::Mapping(pairs) = root.data else { panic!("a mapping") };
        assert_eq!(pairs[0].1.line, 2);
        let Data::Sequence(items) = &pairs[1].1.data else { panic!("a sequence") };
        assert_eq!(items[0].data, Data::Scalar { text: "x".to_owned(), is_quoted: true });
        assert_eq!((items[1].line, items[1].describe()), (5, "a list".to_owned()));
    }

    #[test]
    fn only_a_single_plain_document_is_accepted() {
        let line = |text: &str| parse(text).unwrap_err().line;
        assert_eq!(line(""), 1);
        assert_eq!(line("a: 1\na: 2\n"), 2);
        assert_eq!(line("a: &x 1\nb: *x\n"), 2);
        assert_eq!(line("a: 1\n---\nb: 2\n"), 3);
        assert_eq!(line("a: [1\nb: 2\n"), 2);
        assert!(parse(&"[".repeat(100)).is_err());
        assert!(parse(&format!("{}{}", "[".repeat(100), "]".repeat(100))).unwrap_err().what.contains("deep"));
    }
}
