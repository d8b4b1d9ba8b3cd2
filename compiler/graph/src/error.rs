//! Errors of building, reading and evaluating graphs.

use mc_tensor::model_tensor::ModelTensor;
use thiserror::Error;

/// A graph that cannot be built, read or evaluated.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum GraphError {
    /// Inputs do not fit the operator.
    #[error("Operator `{operator}`: expected {expected}; found {found}")]
    Misfit {
        /// Name of the operator.
        operator: &'static str,
        /// Shapes or numbers that fit.
        expected: String,
        /// The shapes or numbers that were given.
        found: String,
    },
    /// One weight is used with two shapes.
    #[error("Weight `{tensor}` is used as {first} and as {second}")]
    TwoShapes {
        /// The weight.
        tensor: ModelTensor,
        /// The shape of the first use.
        first: String,
        /// The shape of a later use.
        second: String,
    },
    /// A serialized graph is not one.
    #[error("Graph: {place}: expected {expected}")]
    Unreadable {
        /// The place in the text.
        place: String,
        /// Expected there.
        expected: String,
    },
    /// The evaluation was given no value for an input or a weight.
    #[error("Evaluation of a graph: no value for {what}")]
    NoValue {
        /// The input or weight.
        what: String,
    },
}

impl GraphError {
    /// Inputs that do not fit an operator.
    pub fn misfit(operator: &'static str, expected: impl Into<String>, found: impl Into<String>) -> Self {
        Self::Misfit { operator, expected: expected.into(), found: found.into() }
    }
}
