//! Errors of a checkpoint's description, its adapter or its tokenizer.
//!
//! Every message states what was expected and found and, unless it is obvious, what to do.

use thiserror::Error;

/// An error of a checkpoint, an adapter or a tokenizer.
#[derive(Debug, Error)]
pub enum FamilyError {
    /// A file is not JSON, or not an object.
    #[error("`{file}` is not a JSON object: {reason}")]
    NotJson {
        /// The file's name.
        file: &'static str,
        /// The parser's message, or the value found.
        reason: String,
    },
    /// A required key is missing.
    #[error("`{file}` has no `{key}`; expected {expected}")]
    MissingKey {
        /// The file's name.
        file: &'static str,
        /// The key, with its parents.
        key: String,
        /// The expected value.
        expected: String,
    },
    /// A key has a value of another type or range.
    #[error("`{key}` in `{file}` is {found}; expected {expected}")]
    BadValue {
        /// The file's name.
        file: &'static str,
        /// The key, with its parents.
        key: String,
        /// The expected value.
        expected: String,
        /// The value found, as JSON.
        found: String,
    },
    /// A key has a value that this release does not support.
    #[error("`{key}` in `{file}` is {found}, which is not supported yet; {advice}")]
    Unsupported {
        /// The file's name.
        file: &'static str,
        /// The key, with its parents.
        key: String,
        /// The value found, as JSON.
        found: String,
        /// Advice for the user.
        advice: String,
    },
    /// No family knows the architecture.
    #[error("Models of the architecture `{found}` are not supported")]
    UnknownArchitecture {
        /// The name in `config.json`.
        found: String,
        /// The known names, in backticks.
        known: String,
    },
    /// An adapter does not fit the base that it is applied to.
    #[error("{found}. {advice}")]
    AdapterMismatch {
        /// The mismatch, with the expected value.
        found: String,
        /// Advice for the user.
        advice: String,
    },
    /// A tokenizer cannot be read or used.
    #[error("{0}")]
    Tokenizer(String),
    /// A chat template cannot be read or rendered.
    #[error("The chat template in {place} cannot be {action}: {reason}")]
    ChatTemplate {
        /// The file or key that contains it, in quotes.
        place: String,
        /// `read` or `rendered`.
        action: &'static str,
        /// The message of the engine or the template.
        reason: String,
    },
    /// A chat template exceeds a limit, which is above the needs of any real template.
    #[error("The chat template in {place} exceeds a limit: {limit}")]
    ChatTemplateLimit {
        /// The file or key that contains it, in quotes.
        place: String,
        /// The limit.
        limit: String,
    },
}

impl FamilyError {
    /// The advice for the user, where the message does not hold it.
    pub fn help(&self) -> Option<String> {
        match self {
            Self::UnknownArchitecture { known, .. } => {
                Some(format!("mc supports {known}; `docs/families.md` has their variants"))
            }
            _ => None,
        }
    }
}
