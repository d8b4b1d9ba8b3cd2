//! Prints a tree in its canonical form, the one in KDL's official test cases.
//!
//! Drops comments and layout, sorts properties by name and keeps the last of repeated ones, writes words bare where
//! possible, and numbers in decimal. This is for comparing and displaying trees; it is not a formatter.

use std::collections::BTreeMap;
use std::fmt::{self, Write};

use crate::character::{is_disallowed, is_newline, is_word};
use crate::tree::{Document, Entry, Name, Node, Scalar, Value};
use crate::word::is_identifier;

/// The document in canonical form; it ends with a line break.
#[must_use]
pub fn print(document: &Document) -> String {
    let mut printed = String::new();
    nodes(&mut printed, &document.nodes, 0).expect("a string takes all that is written to it");
    if printed.is_empty() {
        printed.push('\n');
    }
    printed
}

/// A string as KDL text: bare if possible, otherwise in quotes with escapes.
#[must_use]
pub fn quote(text: &str) -> String {
    if !text.is_empty() && text.chars().all(is_word) && is_identifier(text) {
        return text.to_owned();
    }
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for character in text.chars() {
        match character {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            '\u{8}' => quoted.push_str("\\b"),
            '\u{C}' => quoted.push_str("\\f"),
            _ if is_newline(character) || is_disallowed(character) => {
                quoted.extend(character.escape_unicode());
            }
            _ => quoted.push(character),
        }
    }
    quoted.push('"');
    quoted
}

fn nodes(printed: &mut String, nodes: &[Node], depth: usize) -> fmt::Result {
    nodes.iter().try_for_each(|it| node(printed, it, depth))
}

fn node(printed: &mut String, node: &Node, depth: usize) -> fmt::Result {
    let indent = depth * 4;
    write!(printed, "{:indent$}", "")?;
    type_annotation(printed, node.type_annotation.as_ref())?;
    printed.write_str(&quote(&node.name.text))?;
    entries(printed, &node.entries)?;
    let children = node.child_nodes();
    if !children.is_empty() {
        printed.write_str(" {\n")?;
        nodes(printed, children, depth + 1)?;
        write!(printed, "{:indent$}}}", "")?;
    }
    printed.write_char('\n')
}

fn entries(printed: &mut String, entries: &[Entry]) -> fmt::Result {
    let mut properties = BTreeMap::new();
    for entry in entries {
        match &entry.name {
            Some(name) => _ = properties.insert(name.text.as_str(), &entry.value),
            None => {
                printed.write_char(' ')?;
                scalar(printed, &entry.value)?;
            }
        }
    }
    for (name, value) in properties {
        write!(printed, " {}=", quote(name))?;
        scalar(printed, value)?;
    }
    Ok(())
}

fn scalar(printed: &mut String, scalar: &Scalar) -> fmt::Result {
    type_annotation(printed, scalar.type_annotation.as_ref())?;
    match &scalar.value {
        Value::String(text) => printed.write_str(&quote(text)),
        Value::Integer(integer) => write!(printed, "{integer}"),
        Value::Float(float) => write!(printed, "{float}"),
        Value::Infinity => printed.write_str("#inf"),
        Value::NegInfinity => printed.write_str("#-inf"),
        Value::NaN => printed.write_str("#nan"),
        Value::Bool(truth) => write!(printed, "#{truth}"),
        Value::Null => printed.write_str("#null"),
    }
}

fn type_annotation(printed: &mut String, name: Option<&Name>) -> fmt::Result {
    name.map_or(Ok(()), |name| write!(printed, "({})", quote(&name.text)))
}
