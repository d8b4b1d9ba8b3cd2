//! Reasons why a tensor expression cannot be evaluated.

use std::fmt;

/// An error of the reader of the inputs, passed through unchanged.
pub type InputError = Box<dyn std::error::Error + Send + Sync>;

/// A reason why a tensor expression cannot be evaluated.
#[derive(Debug, thiserror::Error)]
pub enum EvaluationError {
    /// An input cannot be read, or the evaluation was cancelled.
    #[error("{0}")]
    Input(#[from] InputError),
    /// An operator does not match its operands or inputs; the message states the expected and the found value.
    #[error("{0}")]
    Misfit(String),
}

impl EvaluationError {
    /// Creates the error for an operator that does not match.
    pub(crate) fn misfit(reason: impl fmt::Display) -> Self {
        Self::Misfit(reason.to_string())
    }
}
