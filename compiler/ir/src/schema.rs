//! Schemas: the attributes of a rule, their kinds and their defaults.
//!
//! A schema is data. The analysis checks declarations against it; the manual and shell completions are generated from
//! it.

use crate::tags::Tags;

/// The allowed form of a node.
#[derive(Debug)]
pub struct NodeSchema {
    /// The node's name in KDL, kebab-case.
    pub name: &'static str,
    /// One sentence for the manual.
    pub doc: &'static str,
    /// Number and kind of positional values.
    pub arguments: Arguments,
    /// Named values.
    pub properties: &'static [PropertySchema],
    /// Child nodes.
    pub children: &'static [ChildSchema],
}

impl NodeSchema {
    /// A node with one value and nothing else.
    pub const fn leaf(name: &'static str, doc: &'static str, value: ValueKind) -> Self {
        Self { name, doc, arguments: Arguments::One(value), properties: &[], children: &[] }
    }
}

/// Positional values of a node.
#[derive(Clone, Copy, Debug)]
pub enum Arguments {
    /// None.
    None,
    /// Exactly one.
    One(ValueKind),
    /// Exactly two, each of its kind.
    Two(ValueKind, ValueKind),
    /// One or more.
    Many(ValueKind),
}

/// A named value of a node.
#[derive(Debug)]
pub struct PropertySchema {
    /// Its name, kebab-case.
    pub name: &'static str,
    /// Kind of its value.
    pub value: ValueKind,
    /// Required, optional or with a default.
    pub presence: Presence,
    /// One sentence for the manual.
    pub doc: &'static str,
}

/// A child node.
#[derive(Clone, Copy, Debug)]
pub struct ChildSchema {
    /// The form of the child. A child that takes exactly one argument may also be written as a property of its parent:
    /// `dir "base"` and `dir="base"` mean the same.
    pub node: &'static NodeSchema,
    /// Allowed number of occurrences.
    pub occurs: Occurs,
}

/// Allowed number of occurrences of a child node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Occurs {
    /// Exactly once.
    Once,
    /// At most once.
    Optional,
    /// Any number of times.
    Any,
}

/// Required, optional or with a default.
#[derive(Clone, Copy, Debug)]
pub enum Presence {
    /// Must be written.
    Required,
    /// May be omitted; then there is no value.
    Optional,
    /// May be omitted; then this text is parsed in its place.
    Default(&'static str),
}

/// Kind of a value.
#[derive(Clone, Copy, Debug)]
pub enum ValueKind {
    /// Any string.
    Text,
    /// One of a list of words. The words come from a function, so that a table elsewhere stays the only list.
    OneOf(fn() -> Vec<&'static str>),
    /// The same, with advice for other words, such as names that another tool has for the same thing.
    Advised(fn() -> Vec<&'static str>, fn(&str) -> Option<String>),
    /// A whole number, zero or more.
    Integer,
    /// Any finite number.
    Number,
    /// `#true` or `#false`.
    Bool,
    /// A label of another target.
    Label,
    /// A file or folder inside the package, relative to it.
    Path,
    /// A pattern of files inside the package.
    Glob,
    /// A size such as `525MB`.
    Bytes,
    /// A fraction such as `2%`.
    Fraction,
    /// One of the words of [`Tags`].
    Tag,
}

/// Words that a message lists.
pub const MAX_WORDS: usize = 8;

impl ValueKind {
    /// Name of the expected value, for diagnostics.
    pub fn describe(self) -> String {
        match self {
            Self::Text => "a string".to_owned(),
            Self::OneOf(words) | Self::Advised(words, _) => one_of(&words()),
            Self::Integer => "an integer".to_owned(),
            Self::Number => "a number".to_owned(),
            Self::Bool => "`#true` or `#false`".to_owned(),
            Self::Label => "a label such as `//package:target` or `:target`".to_owned(),
            Self::Path => "a path inside the package".to_owned(),
            Self::Glob => "a file pattern such as `data/*.txt`".to_owned(),
            Self::Bytes => "a size such as `525MB`".to_owned(),
            Self::Fraction => "a percentage such as `2%`".to_owned(),
            Self::Tag => format!("one of `{}`", Tags::words().join("`, `")),
        }
    }
}

/// Lists the words. A long list is truncated: the advice for unknown words covers the rest.
fn one_of(words: &[&str]) -> String {
    match words.get(MAX_WORDS..) {
        None | Some([]) => format!("one of `{}`", words.join("`, `")),
        Some(rest) => format!("one of `{}` and {} more", words[..MAX_WORDS].join("`, `"), rest.len()),
    }
}
