//! Errors of files that are read or written.

use std::fmt::Display;

/// A file that cannot be read, or contents that cannot be written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct FormatError {
    /// The fault, as the format says it.
    pub message: String,
    /// Advice, if anything helps.
    pub help: Option<String>,
}

impl FormatError {
    /// An error that the format told.
    pub fn new(error: impl Display) -> Self {
        Self { message: error.to_string(), help: None }
    }

    /// The same error, with what to do about it.
    #[must_use]
    pub fn with_help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }
}
