//! Typed attributes of a target: the content of its KDL node after the schema check.
//!
//! Attributes hold no spans. A value stores its [`Place`], a number that does not change when comments or spaces are
//! edited; only the package's span table maps it to a location. So targets with the same meaning are equal.

use std::collections::BTreeMap;

use crate::label::Label;

/// The ordinal of a node or value within its target, in document order; the target's own node is 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place(pub u32);

/// A value and its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed<T> {
    /// The value.
    pub value: T,
    /// Its place within the target.
    pub place: Place,
}

/// A number that can be compared and hashed: two are equal if their bits are equal.
#[derive(Clone, Copy, Debug)]
pub struct Number(pub f64);

impl PartialEq for Number {
    fn eq(&self, other: &Self) -> bool {
        self.0.to_bits() == other.0.to_bits()
    }
}

impl Eq for Number {}

/// A value of an attribute, typed by its schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// Any string, or one of a list of words.
    Text(String),
    /// A whole number.
    Integer(i64),
    /// Any number.
    Number(Number),
    /// `#true` or `#false`.
    Bool(bool),
    /// Another target.
    Label(Label),
    /// A file or folder of the package, relative to the package's folder.
    Path(String),
    /// A pattern of file names, relative to the package's folder.
    Glob(String),
    /// A size in bytes, written `525MB` or `6GiB`.
    Bytes(u64),
    /// A fraction, written `2%` or `0.02`.
    Fraction(Number),
}

/// A node with its arguments, properties and children, validated by the schema, with defaults filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Place of the node.
    pub place: Place,
    /// Positional values.
    pub arguments: Vec<Placed<Value>>,
    /// Named values.
    pub properties: BTreeMap<String, Placed<Value>>,
    /// Child nodes by name; those of one name are in document order.
    pub children: BTreeMap<String, Vec<Self>>,
}

impl Record {
    /// An empty node.
    pub fn new(place: Place) -> Self {
        Self { place, arguments: Vec::new(), properties: BTreeMap::new(), children: BTreeMap::new() }
    }

    /// The first child with the name.
    pub fn child(&self, name: &str) -> Option<&Self> {
        self.children(name).first()
    }

    /// All children with the name, in document order.
    pub fn children(&self, name: &str) -> &[Self] {
        self.children.get(name).map_or(&[], Vec::as_slice)
    }

    /// The first argument of the first child with the name.
    pub fn value(&self, name: &str) -> Option<&Placed<Value>> {
        self.child(name).and_then(|child| child.arguments.first())
    }

    /// The first argument of this node.
    pub fn argument(&self) -> Option<&Placed<Value>> {
        self.arguments.first()
    }

    /// A property of this node.
    pub fn property(&self, name: &str) -> Option<&Placed<Value>> {
        self.properties.get(name)
    }

    /// All labels in the node and its children, in document order.
    pub fn labels(&self) -> Vec<Placed<Label>> {
        let mut labels = Vec::new();
        self.collect_labels(&mut labels);
        labels.sort_by_key(|label| label.place);
        labels
    }

    fn collect_labels(&self, labels: &mut Vec<Placed<Label>>) {
        for placed in self.arguments.iter().chain(self.properties.values()) {
            if let Value::Label(label) = &placed.value {
                labels.push(Placed { value: label.clone(), place: placed.place });
            }
        }
        for child in self.children.values().flatten() {
            child.collect_labels(labels);
        }
    }
}

impl Value {
    /// The text, path or pattern; `None` for other kinds.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) | Self::Path(text) | Self::Glob(text) => Some(text),
            _ => None,
        }
    }

    /// The label; `None` for other kinds.
    pub fn as_label(&self) -> Option<&Label> {
        match self {
            Self::Label(label) => Some(label),
            _ => None,
        }
    }

    /// The number (integer, float or fraction); `None` for other kinds.
    pub fn as_number(&self) -> Option<f64> {
        match self {
            Self::Number(number) | Self::Fraction(number) => Some(number.0),
            // Attribute integers are small (sample counts, seeds), far below 2^53.
            Self::Integer(integer) => Some(*integer as f64),
            _ => None,
        }
    }

    /// The integer; `None` for other kinds.
    pub fn as_integer(&self) -> Option<i64> {
        match self {
            Self::Integer(integer) => Some(*integer),
            _ => None,
        }
    }

    /// The boolean; `None` for other kinds.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(truth) => Some(*truth),
            _ => None,
        }
    }

    /// The size in bytes; `None` for other kinds.
    pub fn as_bytes(&self) -> Option<u64> {
        match self {
            Self::Bytes(bytes) => Some(*bytes),
            _ => None,
        }
    }
}
