//! Schemas: which attributes a rule takes, of which kind, and what they are when absent.
//!
//! A schema is data. The analysis checks declarations against it, and the manual and completions are read from it.

use crate::tags::Tags;

/// What a node may look like.
#[derive(Debug)]
pub struct NodeSchema {
    /// The node's name in KDL, kebab-case.
    pub name: &'static str,
    /// One sentence for the manual.
    pub doc: &'static str,
    /// How many positional values the node takes, and of which kind.
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
    /// What it holds.
    pub value: ValueKind,
    /// Whether it must be there, or what it is when it is not.
    pub presence: Presence,
    /// One sentence for the manual.
    pub doc: &'static str,
}

/// A child node.
#[derive(Clone, Copy, Debug)]
pub struct ChildSchema {
    /// What it looks like. A child that takes exactly one argument may also be written as a property of its parent:
    /// `dir "base"` and `dir="base"` mean the same.
    pub node: &'static NodeSchema,
    /// How often it may stand there.
    pub occurs: Occurs,
}

/// How often a child node may stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Occurs {
    /// Exactly once.
    Once,
    /// Once or not at all.
    Optional,
    /// Any number of times.
    Any,
}

/// Whether a property must be written.
#[derive(Clone, Copy, Debug)]
pub enum Presence {
    /// It must.
    Required,
    /// It may be left out and has no value then.
    Optional,
    /// It may be left out; then it is this, read as if it had been written (as text).
    Default(&'static str),
}

/// What a value is.
#[derive(Clone, Copy, Debug)]
pub enum ValueKind {
    /// Any text.
    Text,
    /// One of these words; the function gives them, so that a table elsewhere stays the only list.
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
    /// A share such as `2%`.
    Fraction,
    /// One of the words of [`Tags`].
    Tag,
}

/// Words that a message lists.
pub const MAX_WORDS: usize = 8;

impl ValueKind {
    /// What was expected, for a diagnostic.
    pub fn describe(self) -> String {
        match self {
            Self::Text => "a text".to_owned(),
            Self::OneOf(words) | Self::Advised(words, _) => one_of(&words()),
            Self::Integer => "a whole number".to_owned(),
            Self::Number => "a number".to_owned(),
            Self::Bool => "`#true` or `#false`".to_owned(),
            Self::Label => "a label such as `//package:target` or `:target`".to_owned(),
            Self::Path => "a path inside the package".to_owned(),
            Self::Glob => "a file pattern such as `data/*.txt`".to_owned(),
            Self::Bytes => "a size such as `525MB`".to_owned(),
            Self::Fraction => "a share such as `2%`".to_owned(),
            Self::Tag => format!("one of `{}`", Tags::words().join("`, `")),
        }
    }
}

/// The words, of which a long list is cut: its rest is for the advice.
fn one_of(words: &[&str]) -> String {
    match words.get(MAX_WORDS..) {
        None | Some([]) => format!("one of `{}`", words.join("`, `")),
        Some(rest) => format!("one of `{}` and {} more", words[..MAX_WORDS].join("`, `"), rest.len()),
    }
}
