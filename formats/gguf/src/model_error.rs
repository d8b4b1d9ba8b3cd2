//! Error of a GGUF file that is well-formed but does not describe a known model.

use std::borrow::Cow;

use crate::architecture;

/// The file is whole, but no model that can be run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ModelError {
    /// A key is not there, or not of its type.
    #[error("Key `{key}`: {found}; expected {expected}")]
    Key {
        /// The key.
        key: String,
        /// What it should be.
        expected: Cow<'static, str>,
        /// What it is.
        found: String,
    },
    /// Nobody here knows the architecture.
    #[error("The file has architecture `{0}`; known are {known}", known = architecture::names())]
    Architecture(String),
}
