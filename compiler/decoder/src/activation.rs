//! The activation function of a feed-forward.

use mc_digest::content_hash::ContentHash;
use mc_graph::builder::Builder;
use mc_graph::error::GraphError;
use mc_graph::ids::ValueId;
use mc_graph::operators::gelu_tanh::GeluTanh;
use mc_graph::operators::silu::Silu;
use serde::{Deserialize, Serialize};

/// Activation function of the gate.
#[derive(Clone, ContentHash, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum Activation {
    /// `x / (1 + exp(-x))`.
    #[content("silu")]
    Silu,
    /// `x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3)))`.
    #[content("gelu-tanh")]
    GeluTanh,
}

impl Activation {
    /// Adds the activation to a graph.
    ///
    /// # Errors
    /// If the input holds integers.
    pub fn lower(self, builder: &mut Builder, input: ValueId) -> Result<ValueId, GraphError> {
        match self {
            Self::Silu => builder.one(Silu {}, &[input]),
            Self::GeluTanh => builder.one(GeluTanh {}, &[input]),
        }
    }
}
