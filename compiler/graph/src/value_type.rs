//! Shapes and element types of the values of a graph.
//!
//! Two sizes are unknown until a graph is run: the tokens of a batch, and the positions of the sequence so far.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::scope::Lengths;

/// One dimension.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Dim {
    /// A known size.
    Fixed(u32),
    /// The tokens of the batch, plus this many.
    Tokens(u32),
    /// The positions of the sequence, including those of the batch.
    Positions,
}

impl Dim {
    /// The size in one run.
    pub fn length(self, lengths: Lengths) -> usize {
        match self {
            Self::Fixed(n) => n as usize,
            Self::Tokens(more) => lengths.n_tokens + more as usize,
            Self::Positions => lengths.n_positions(),
        }
    }

    /// The size, if known.
    pub fn fixed(self) -> Option<u32> {
        match self {
            Self::Fixed(n) => Some(n),
            Self::Tokens(_) | Self::Positions => None,
        }
    }
}

/// The tokens of the batch.
pub const TOKENS: Dim = Dim::Tokens(0);

impl fmt::Display for Dim {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(n) => write!(formatter, "{n}"),
            Self::Tokens(0) => formatter.write_str("tokens"),
            Self::Tokens(more) => write!(formatter, "tokens+{more}"),
            Self::Positions => formatter.write_str("positions"),
        }
    }
}

/// Type of one element.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Element {
    /// A real number.
    Real,
    /// An integer: a token, or the index of an expert.
    Index,
}

/// Shape and element type of a value.
#[derive(Clone, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
pub struct ValueType {
    /// Dimensions, slowest first.
    pub dims: Vec<Dim>,
    /// Type of the elements.
    pub element: Element,
}

impl ValueType {
    /// Real numbers.
    pub fn real(dims: impl Into<Vec<Dim>>) -> Self {
        Self { dims: dims.into(), element: Element::Real }
    }

    /// Integers.
    pub fn index(dims: impl Into<Vec<Dim>>) -> Self {
        Self { dims: dims.into(), element: Element::Index }
    }

    /// Real numbers with a known shape.
    pub fn fixed(dims: &[u32]) -> Self {
        Self::real(dims.iter().copied().map(Dim::Fixed).collect::<Vec<_>>())
    }

    /// The size of the last dimension, if known.
    pub fn width(&self) -> Option<u32> {
        self.dims.last().and_then(|dim| dim.fixed())
    }

    /// The same type with another last dimension.
    #[must_use]
    pub fn with_width(&self, width: u32) -> Self {
        let mut dims = self.dims.clone();
        if let Some(last) = dims.last_mut() {
            *last = Dim::Fixed(width);
        }
        Self { dims, element: self.element }
    }

    /// The shape in one run.
    pub fn shape(&self, lengths: Lengths) -> Vec<usize> {
        self.dims.iter().map(|dim| dim.length(lengths)).collect()
    }
}

impl fmt::Display for ValueType {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dims: Vec<String> = self.dims.iter().map(Dim::to_string).collect();
        write!(formatter, "[{}]", dims.join(", "))?;
        match self.element {
            Element::Real => Ok(()),
            Element::Index => formatter.write_str(" of whole numbers"),
        }
    }
}

/// Formats types on one line, for messages.
pub(crate) fn list(types: &[&ValueType]) -> String {
    let shapes: Vec<String> = types.iter().map(ToString::to_string).collect();
    if shapes.is_empty() { "nothing".to_owned() } else { shapes.join(" and ") }
}
