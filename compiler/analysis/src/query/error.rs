//! Errors in queries.

use std::ops::Range;

/// An error in a query, with its location.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct QueryError {
    /// Range of bytes within the query.
    pub span: Range<usize>,
    /// The expected and the found value.
    pub message: String,
    /// A hint for fixing it.
    pub help: Option<String>,
}

impl QueryError {
    pub(crate) fn new(span: Range<usize>, message: impl Into<String>) -> Self {
        Self { span, message: message.into(), help: None }
    }

    #[must_use]
    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}
