//! Errors in declarations, patterns and queries.

use mc_analysis::diagnostic::Diagnostics;
use mc_analysis::patterns::PatternError;
use mc_analysis::query::error::QueryError;
use mc_ir::label::LabelError;

use crate::fetching::error::FetchingError;

/// Targets that cannot be loaded.
#[derive(Debug, thiserror::Error)]
pub enum DeclarationError {
    /// Declarations have errors.
    #[error("The declarations have errors")]
    Wrong(Box<Diagnostics>),
    /// A pattern is not a label.
    #[error("`{text}` is not a label: {}", error.reason)]
    Pattern {
        /// The pattern.
        text: String,
        /// The reason.
        error: LabelError,
        /// The label or pattern that may be meant.
        guess: Option<String>,
    },
    /// Patterns without matches.
    #[error("{}", messages(.0))]
    Unknown(Vec<PatternError>),
    /// A query is invalid.
    #[error("{error}")]
    Query {
        /// The query.
        text: String,
        /// The reason and its location.
        error: QueryError,
    },
    /// Files that targets need cannot be fetched.
    #[error(transparent)]
    Fetching(Box<FetchingError>),
}

impl From<FetchingError> for DeclarationError {
    fn from(error: FetchingError) -> Self {
        Self::Fetching(Box::new(error))
    }
}

fn messages(errors: &[PatternError]) -> String {
    let messages: Vec<&str> = errors.iter().map(|error| error.message.as_str()).collect();
    messages.join("\n")
}
