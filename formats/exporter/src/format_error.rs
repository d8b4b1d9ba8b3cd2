//! Errors of files that are read or written.

use std::fmt::Display;

/// A file that cannot be read, or contents that cannot be written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct FormatError {
    /// The message, as the format words it.
    pub message: String,
    /// A hint, if there is one.
    pub help: Option<String>,
}

impl FormatError {
    /// Creates an error from the format's own error.
    pub fn new(error: impl Display) -> Self {
        Self { message: error.to_string(), help: None }
    }

    /// Adds a hint.
    #[must_use]
    pub fn with_help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }
}
