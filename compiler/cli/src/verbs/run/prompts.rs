//! Prompts of `mc run`: words, token ids, or the lines of a file.

use std::io::{IsTerminal, Read};
use std::path::Path;

use mc_files::regular;
use mc_rules::inference::chat::Prompt;
use serde::Deserialize;

use crate::report::Report;

/// Maximum size of a file of prompts.
const MAX_BYTES: u64 = 256 << 20;

/// A prompt of token ids.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ids(pub(crate) Vec<u32>);

/// Parses ids such as `1,306,4658`.
///
/// # Errors
/// A message if there are no ids, or one is not a number.
pub(crate) fn ids(text: &str) -> Result<Ids, String> {
    if text.trim().is_empty() {
        return Err("expected at least one token id".to_owned());
    }
    let id = |text: &str| {
        let text = text.trim();
        text.parse::<u32>()
            .map_err(|_| format!("`{text}` is not a token id; expected ids such as 1,306,4658"))
    };
    text.split(',').map(id).collect::<Result<_, _>>().map(Ids)
}

/// The prompt from the command line, or else from stdin.
///
/// * `model`: the model as the user typed it, for a hint
///
/// # Errors
/// If there is none.
pub(crate) fn of_words(words: &[String], model: &str) -> Result<String, Report> {
    if !words.is_empty() {
        return Ok(words.join(" "));
    }
    if std::io::stdin().is_terminal() {
        return Err(Report::usage("There is no prompt")
            .hint(format!("Write the prompt after `--`: mc run {model} -- \"find a charger\"")));
    }
    let mut prompt = String::new();
    std::io::stdin()
        .read_to_string(&mut prompt)
        .map_err(|error| Report::usage("Cannot read the prompt from stdin").because(error))?;
    let prompt = prompt.trim_end_matches(['\n', '\r']).to_owned();
    if prompt.is_empty() {
        return Err(Report::usage("There is no prompt: stdin is empty"));
    }
    Ok(prompt)
}

/// The prompts of a file, one on each line; blank lines are skipped.
///
/// * `text`: makes a prompt from a text
///
/// # Errors
/// If the file cannot be read or has no prompts, or a line is invalid.
pub(crate) fn of_file(path: &str, text: impl Fn(String) -> Prompt) -> Result<Vec<Prompt>, Report> {
    let lines = regular::read_text(Path::new(path), MAX_BYTES)
        .map_err(|error| Report::usage(format!("Cannot read the prompts of `{path}`")).because(error))?;
    let prompts: Vec<Prompt> = of_lines(&lines, text).map_err(|(number, reason)| {
        Report::usage(format!("Line {number} of `{path}` is not a prompt"))
            .because(reason)
            .hint("Write a JSON text such as \"find a charger\", or token ids such as [1, 306, 4658]")
    })?;
    if prompts.is_empty() {
        return Err(Report::usage(format!("There is no prompt: `{path}` is empty")));
    }
    Ok(prompts)
}

/// A line of a file with prompts.
#[derive(Deserialize)]
#[serde(untagged)]
enum Line {
    Text(String),
    Ids(Vec<u32>),
}

/// The prompts of lines, or the number of the first invalid line with the reason.
fn of_lines(lines: &str, text: impl Fn(String) -> Prompt) -> Result<Vec<Prompt>, (usize, &'static str)> {
    let numbered = (1..).zip(lines.lines()).filter(|(_, line)| !line.trim().is_empty());
    let prompt = |(number, line): (usize, &str)| match serde_json::from_str(line) {
        Ok(Line::Text(found)) if found.is_empty() => Err((number, "The text is empty")),
        Ok(Line::Text(found)) => Ok(text(found)),
        Ok(Line::Ids(ids)) if ids.is_empty() => Err((number, "There are no ids")),
        Ok(Line::Ids(ids)) => Ok(Prompt::Ids(ids)),
        Err(_) => Err((number, "It is neither a JSON text nor an array of token ids")),
    };
    numbered.map(prompt).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_numbers_between_commas() {
        assert_eq!(ids("1,2, 3"), Ok(Ids(vec![1, 2, 3])));
        assert_eq!(ids(" "), Err("expected at least one token id".to_owned()));
        for text in ["1,,2", "1,x", "-1", "4294967296", "1.5"] {
            assert!(ids(text).unwrap_err().contains("is not a token id"), "{text}");
        }
    }

    #[test]
    fn a_line_is_a_text_or_ids() {
        let found = of_lines("\"a\\nb\"\n\n[1, 2]\n", Prompt::Text);
        assert_eq!(found, Ok(vec![Prompt::Text("a\nb".to_owned()), Prompt::Ids(vec![1, 2])]));
        for (text, number) in [("\"\"", 1), ("\n[]", 2), ("find", 1), ("[1, -2]", 1), ("{}", 1), ("[1.5]", 1)]
        {
            assert_eq!(of_lines(text, Prompt::Text).unwrap_err().0, number, "{text}");
        }
    }
}
