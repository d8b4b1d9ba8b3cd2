//! Errors from building, reading and evaluating graphs.

use mc_tensor::model_tensor::ModelTensor;
use thiserror::Error;

/// A graph that cannot be built, read or evaluated.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum GraphError {
    /// Inputs do not fit the operator.
    #[error("Operator `{operator}`: expected {expected}; found {found}")]
    Misfit {
        /// The operator's name.
        operator: &'static str,
        /// Expected shapes or numbers.
        expected: String,
        /// Found shapes or numbers.
        found: String,
    },
    /// One weight is used with two shapes.
    #[error("Weight `{tensor}` is used as {first} and as {second}")]
    TwoShapes {
        /// The weight.
        tensor: ModelTensor,
        /// Shape of the first use.
        first: String,
        /// Shape of a later use.
        second: String,
    },
    /// A serialized graph is invalid.
    #[error("Graph: {place}: expected {expected}")]
    Unreadable {
        /// The location in the text.
        place: String,
        /// The expected contents.
        expected: String,
    },
    /// The evaluation has no value for an input or a weight.
    #[error("Evaluation of a graph: no value for {what}")]
    NoValue {
        /// The input or weight.
        what: String,
    },
}

impl GraphError {
    /// Creates the error for inputs that do not fit an operator.
    pub fn misfit(operator: &'static str, expected: impl Into<String>, found: impl Into<String>) -> Self {
        Self::Misfit { operator, expected: expected.into(), found: found.into() }
    }
}
