//! Why a tensor expression cannot be evaluated.

use std::fmt;

/// The error of whoever reads the inputs, passed through as it is.
pub type InputError = Box<dyn std::error::Error + Send + Sync>;

/// Why a tensor expression cannot be evaluated.
#[derive(Debug, thiserror::Error)]
pub enum EvaluationError {
    /// An input cannot be read, or the result is not wanted any more.
    #[error("{0}")]
    Input(#[from] InputError),
    /// An operator does not fit its operands or its inputs; the message says what was expected and what was found.
    #[error("{0}")]
    Misfit(String),
}

impl EvaluationError {
    /// An operator that does not fit, with the reason.
    pub(crate) fn misfit(reason: impl fmt::Display) -> Self {
        Self::Misfit(reason.to_string())
    }
}
