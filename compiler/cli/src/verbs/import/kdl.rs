//! Writes KDL: quoted texts, numbers, nodes with children.

use std::fmt::Write;

use mc_syntax::terminal::is_steering;

/// A node to write into a file.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    /// The node without its children.
    pub(crate) text: String,
    /// Its children.
    pub(crate) children: Vec<Self>,
}

impl Line {
    /// A node without children, or a comment.
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), children: Vec::new() }
    }

    /// Writes the node, indented by four spaces per level.
    pub(crate) fn write(&self, out: &mut String, level: usize) {
        let indent = "    ".repeat(level);
        if self.children.is_empty() {
            out.push_str(&format!("{indent}{}\n", self.text));
            return;
        }
        out.push_str(&format!("{indent}{} {{\n", self.text));
        for child in &self.children {
            child.write(out, level + 1);
        }
        out.push_str(&format!("{indent}}}\n"));
    }
}

/// The text in quotes.
pub(crate) fn quoted(text: &str) -> String {
    let mut out = String::from('"');
    for letter in text.chars() {
        match letter {
            '"' | '\\' => out.extend(['\\', letter]),
            '\n' => out.push_str("\\n"),
            // KDL rejects some of these characters, and escapes make all of them visible to readers of the file.
            letter if letter == '\t' || is_steering(letter) => {
                let _infallible = write!(out, "\\u{{{:x}}}", u32::from(letter));
            }
            letter => out.push(letter),
        }
    }
    out.push('"');
    out
}

/// The text in a form that is valid in a one-line comment.
pub(crate) fn comment(text: &str) -> String {
    let is_layout = |letter| matches!(letter, '\n' | '\t') || is_steering(letter);
    let line: String = text.chars().map(|letter| if is_layout(letter) { ' ' } else { letter }).collect();
    format!("// {line}")
}

/// A finite number.
pub(crate) fn number(value: f64) -> String {
    format!("{value}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_and_numbers_are_written_as_kdl_reads_them() {
        assert_eq!(quoted("a\"b\\c\n\u{1}"), r#""a\"b\\c\n\u{1}""#);
        assert_eq!([number(0.5), number(1.0), number(-2.0)], ["0.5", "1", "-2"]);
        assert_eq!(comment("a\nb\u{202e}c"), "// a b c");
        let hostile = quoted("\u{1b}\t\u{202e}\u{feff}");
        assert_eq!(hostile, r#""\u{1b}\u{9}\u{202e}\u{feff}""#);
        let read = mc_syntax::parse::parse(&format!("a {hostile}"));
        assert_eq!(read.diagnostics, []);
    }
}
