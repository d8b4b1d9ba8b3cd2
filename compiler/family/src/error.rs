//! What can be wrong with a checkpoint's description, its adapter or its tokenizer.
//!
//! Every message says what was expected, what was found and, where it is not plain, what to do.

use thiserror::Error;

/// A checkpoint, an adapter or a tokenizer that cannot be used as it is.
#[derive(Debug, Error)]
pub enum FamilyError {
    /// A file is not JSON, or not an object.
    #[error("`{file}` is not a JSON object: {reason}")]
    NotJson {
        /// The file's name.
        file: &'static str,
        /// What the parser said, or what was found.
        reason: String,
    },
    /// A key that must be there is not.
    #[error("`{file}` has no `{key}`; expected {expected}")]
    MissingKey {
        /// The file's name.
        file: &'static str,
        /// The key, with its parents.
        key: String,
        /// What should be there.
        expected: String,
    },
    /// A key has a value of another type or range.
    #[error("`{key}` in `{file}` is {found}; expected {expected}")]
    BadValue {
        /// The file's name.
        file: &'static str,
        /// The key, with its parents.
        key: String,
        /// What should be there.
        expected: String,
        /// What is there, as JSON.
        found: String,
    },
    /// A key asks for something that this release does not do.
    #[error("`{key}` in `{file}` is {found}, which is not supported yet; {advice}")]
    Unsupported {
        /// The file's name.
        file: &'static str,
        /// The key, with its parents.
        key: String,
        /// What is there, as JSON.
        found: String,
        /// What to do about it.
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
        /// What does not fit, with what was expected.
        found: String,
        /// What to do about it.
        advice: String,
    },
    /// A tokenizer cannot be read or used.
    #[error("{0}")]
    Tokenizer(String),
    /// A chat template cannot be read or rendered.
    #[error("The chat template in {place} cannot be {action}: {reason}")]
    ChatTemplate {
        /// The file or key that it stands in, in quotes.
        place: String,
        /// `read` or `rendered`.
        action: &'static str,
        /// What the engine or the template said.
        reason: String,
    },
    /// A chat template asks for more than any needs.
    #[error("The chat template in {place} exceeds a limit: {limit}")]
    ChatTemplateLimit {
        /// The file or key that it stands in, in quotes.
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
