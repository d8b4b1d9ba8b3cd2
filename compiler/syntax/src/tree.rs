//! The syntax tree of a text: documents, nodes, entries and values, each with its location.
//!
//! The tree omits nodes dropped by a slashdash; comments and layout exist only in `lex`.

use crate::number::{Float, Integer};
use crate::span::Span;

/// A whole file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Document {
    /// The top-level nodes, in order.
    pub nodes: Vec<Node>,
}

/// A node: a name, entries, and perhaps a block of children.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// From the type annotation or name to the last entry or the closing brace.
    pub span: Span,
    /// `(type)` before the name.
    pub type_annotation: Option<Name>,
    /// The name.
    pub name: Name,
    /// Arguments and properties, in the order of the text.
    pub entries: Vec<Entry>,
    /// The block in braces, if there is one.
    pub children: Option<Children>,
}

/// A block of children.
#[derive(Clone, Debug, PartialEq)]
pub struct Children {
    /// From brace to brace.
    pub span: Span,
    /// The nodes in it, in order.
    pub nodes: Vec<Node>,
}

/// A string that names something, bare or in quotes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    /// The string's value, without quotes and escapes.
    pub text: String,
    /// Its location, including quotes.
    pub span: Span,
}

/// An argument, or a property if it has a name.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// From the name or value to the end of the value.
    pub span: Span,
    /// The property's name; an argument has none.
    pub name: Option<Name>,
    /// The value.
    pub value: Scalar,
}

/// A value with its type annotation.
#[derive(Clone, Debug, PartialEq)]
pub struct Scalar {
    /// `(type)` before the value.
    pub type_annotation: Option<Name>,
    /// The value.
    pub value: Value,
    /// Its location, including the type annotation.
    pub span: Span,
}

/// The value of an argument or a property.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Text, however it was quoted.
    String(String),
    /// An integer of any size.
    Integer(Integer),
    /// A number with a fraction or an exponent.
    Float(Float),
    /// `#inf`.
    Infinity,
    /// `#-inf`.
    NegInfinity,
    /// `#nan`.
    NaN,
    /// `#true` or `#false`.
    Bool(bool),
    /// `#null`.
    Null,
}

impl Node {
    /// The children's nodes; none if there is no block.
    #[must_use]
    pub fn child_nodes(&self) -> &[Self] {
        self.children.as_ref().map_or(&[], |children| &children.nodes)
    }

    /// The values of the arguments, in order.
    pub fn arguments(&self) -> impl Iterator<Item = &Scalar> {
        self.entries.iter().filter(|entry| entry.name.is_none()).map(|entry| &entry.value)
    }

    /// The property with this name; if it is repeated, the last one.
    #[must_use]
    pub fn property(&self, name: &str) -> Option<&Entry> {
        self.entries.iter().rev().find(|entry| entry.name.as_ref().is_some_and(|it| it.text == name))
    }
}
