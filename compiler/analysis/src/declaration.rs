//! The parts of a KDL node that the schema check uses: names, values and spans.

use mc_syntax::span::Span;
use mc_syntax::tree::Value;

use crate::value::Written;

/// A node.
#[derive(Clone, Debug)]
pub(crate) struct Declaration<'a> {
    pub(crate) name: &'a str,
    pub(crate) name_span: Span,
    /// The whole node, with its block.
    pub(crate) span: Span,
    pub(crate) entries: Vec<Entry<'a>>,
    pub(crate) children: Vec<Self>,
}

/// An argument or a property, in the order in which they were written.
#[derive(Clone, Debug)]
pub(crate) enum Entry<'a> {
    Argument(Scalar<'a>),
    Property { name: &'a str, name_span: Span, value: Scalar<'a> },
}

/// A value and its span.
#[derive(Clone, Debug)]
pub(crate) struct Scalar<'a> {
    pub(crate) written: Written<'a>,
    pub(crate) span: Span,
}

impl Declaration<'_> {
    /// Span from the node's name to its first argument: `model "tone"`.
    pub(crate) fn head_span(&self) -> Span {
        let first = self.entries.iter().find_map(|entry| match entry {
            Entry::Argument(scalar) => Some(scalar.span.end),
            Entry::Property { .. } => None,
        });
        Span { start: self.name_span.start, end: first.unwrap_or(self.name_span.end) }
    }
}

/// The top-level nodes of a file.
pub(crate) fn declarations(parse: &mc_syntax::parse::Parse) -> Vec<Declaration<'_>> {
    parse.document.nodes.iter().map(declaration).collect()
}

fn declaration(node: &mc_syntax::tree::Node) -> Declaration<'_> {
    Declaration {
        name: &node.name.text,
        name_span: node.name.span,
        span: node.span,
        entries: node.entries.iter().map(entry).collect(),
        children: node.child_nodes().iter().map(declaration).collect(),
    }
}

fn entry(entry: &mc_syntax::tree::Entry) -> Entry<'_> {
    let value = Scalar { written: written(&entry.value.value), span: entry.value.span };
    match &entry.name {
        Some(name) => Entry::Property { name: &name.text, name_span: name.span, value },
        None => Entry::Argument(value),
    }
}

fn written(value: &Value) -> Written<'_> {
    match value {
        Value::String(text) => Written::Text(text),
        Value::Integer(integer) => Written::Integer(integer.to_i64()),
        Value::Float(float) => Written::Number(float.to_f64()),
        Value::Infinity => Written::Number(f64::INFINITY),
        Value::NegInfinity => Written::Number(f64::NEG_INFINITY),
        Value::NaN => Written::Number(f64::NAN),
        Value::Bool(truth) => Written::Bool(*truth),
        Value::Null => Written::Null,
    }
}
