//! A JSON object as text: its entries keep their text, so that numbers stay as their authors wrote them.
//!
//! Written as by Python's `json.dump` with sorted keys of the outer object and an indent of 4.

use std::collections::BTreeMap;

use serde::de::IgnoredAny;
use serde_json::Value;

/// An object, with the text of each value by key. Of equal keys, the last counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct JsonText {
    entries: BTreeMap<String, String>,
}

impl JsonText {
    /// Reads an object.
    ///
    /// # Errors
    /// A sentence that describes the error.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, String> {
        let text = str::from_utf8(bytes).map_err(|error| error.to_string())?;
        // The text is valid JSON from here on, so that it can be cut at its punctuation.
        serde_json::from_str::<IgnoredAny>(text).map_err(|error| error.to_string())?;
        let inner = text.trim().strip_prefix('{').and_then(|text| text.strip_suffix('}'));
        let inner = inner.ok_or("expected an object")?;
        let mut entries = BTreeMap::new();
        for entry in split(inner, ',') {
            let [key, value] = split(entry, ':')[..] else { continue };
            let key = serde_json::from_str(key.trim()).map_err(|error| error.to_string())?;
            entries.insert(key, value.trim().to_owned());
        }
        Ok(Self { entries })
    }

    /// The text of a value; `None` if the key is missing or its value is `null`.
    pub(crate) fn text(&self, key: &str) -> Option<&str> {
        self.entries.get(key).map(String::as_str).filter(|text| *text != "null")
    }

    /// A value that is an object.
    pub(crate) fn object(&self, key: &str) -> Option<Self> {
        self.text(key).and_then(|text| Self::parse(text.as_bytes()).ok())
    }

    /// Returns true if the object has a key, even with `null`.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.entries.contains_key(key)
    }

    /// Sets a value.
    pub(crate) fn set(&mut self, key: &str, text: impl Into<String>) {
        self.entries.insert(key.to_owned(), text.into());
    }

    /// Removes a key.
    pub(crate) fn remove(&mut self, key: &str) {
        self.entries.remove(key);
    }

    /// The object on one line.
    pub(crate) fn to_line(&self) -> String {
        let entries = self.entries.iter().map(|(key, value)| format!("{}: {value}", quoted(key)));
        format!("{{{}}}", entries.collect::<Vec<_>>().join(", "))
    }

    /// The object on lines, indented by 4.
    pub(crate) fn to_lines(&self) -> String {
        indented(&self.to_line())
    }
}

/// A text in quotes.
pub(crate) fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

/// Cuts the text at the separators that are outside of strings, lists and objects; nothing for an empty text.
fn split(text: &str, separator: char) -> Vec<&str> {
    let (mut parts, mut start) = (Vec::new(), 0);
    let mut scanner = Scanner::default();
    for (index, character) in text.char_indices() {
        if scanner.is_plain(character) && scanner.depth == 0 && character == separator {
            parts.push(&text[start..index]);
            start = index + 1;
        }
    }
    let rest = &text[start..];
    if !(parts.is_empty() && rest.trim().is_empty()) {
        parts.push(rest);
    }
    parts
}

/// JSON with each entry on a line of its own, indented by 4 per level.
fn indented(text: &str) -> String {
    let mut lines = String::with_capacity(2 * text.len());
    let mut scanner = Scanner::default();
    let mut characters = text.chars().peekable();
    let mut is_empty = false;
    while let Some(character) = characters.next() {
        if !scanner.is_plain(character) {
            lines.push(character);
            continue;
        }
        match character {
            '{' | '[' => {
                lines.push(character);
                while characters.next_if(|next| next.is_whitespace()).is_some() {}
                is_empty = characters.peek().is_some_and(|next| matches!(next, '}' | ']'));
                if !is_empty {
                    new_line(&mut lines, scanner.depth);
                }
            }
            '}' | ']' => {
                if !is_empty {
                    new_line(&mut lines, scanner.depth);
                }
                is_empty = false;
                lines.push(character);
            }
            ',' => {
                lines.push(character);
                new_line(&mut lines, scanner.depth);
            }
            ':' => lines.push_str(": "),
            character if character.is_whitespace() => {}
            character => lines.push(character),
        }
    }
    lines
}

fn new_line(lines: &mut String, depth: usize) {
    lines.push('\n');
    lines.extend(std::iter::repeat_n("    ", depth));
}

/// Follows strings and levels through valid JSON.
#[derive(Default)]
struct Scanner {
    depth: usize,
    is_string: bool,
    is_escaped: bool,
}

impl Scanner {
    /// Takes a character; returns true if it is not part of a string, quotes included.
    fn is_plain(&mut self, character: char) -> bool {
        if self.is_string {
            self.is_string = self.is_escaped || character != '"';
            self.is_escaped = !self.is_escaped && character == '\\';
            return false;
        }
        match character {
            '"' => self.is_string = true,
            '{' | '[' => self.depth += 1,
            '}' | ']' => self.depth = self.depth.saturating_sub(1),
            _ => {}
        }
        !self.is_string
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_and_nested_orders_stay() {
        let text = br#" {"z": 1e-05, "a": {"y": [1.1400000000000001, [], {}], "b": null}, "s": "a,\"b\\"} "#;
        let object = JsonText::parse(text).unwrap();
        assert_eq!(object.text("z"), Some("1e-05"));
        assert_eq!(object.object("a").unwrap().text("b"), None);
        let lines = "{\n    \"a\": {\n        \"y\": [\n            1.1400000000000001,\n            [],\n            {}\n        ],\n        \"b\": null\n    },\n    \"s\": \"a,\\\"b\\\\\",\n    \"z\": 1e-05\n}";
        assert_eq!(object.to_lines(), lines);
    }

    #[test]
    fn only_objects_are_read() {
        assert_eq!(JsonText::parse(b"[1]").unwrap_err(), "expected an object");
        assert!(JsonText::parse(b"{\"a\": }").is_err());
        assert_eq!(JsonText::parse(b"{ }").unwrap(), JsonText::default());
        assert_eq!(JsonText::default().to_lines(), "{}");
    }

    proptest! {
        #[test]
        fn written_objects_read_back(
            entries in prop::collection::btree_map(r#"[a-c"\\{}\[\],:  ]{0,6}"#, (r#"[a"\\{}\],: \u{1}]{0,6}"#, any::<i64>()), 0..6)
        ) {
            let whole: Value = serde_json::to_value(&entries).unwrap();
            let object = JsonText::parse(whole.to_string().as_bytes()).unwrap();
            prop_assert_eq!(&serde_json::from_str::<Value>(&object.to_lines()).unwrap(), &whole);
        }

        #[test]
        fn any_bytes_are_read_without_panic(bytes: Vec<u8>) {
            drop(JsonText::parse(&bytes));
        }
    }
}
