//! Error of a GGUF file that is well-formed but does not describe a known model.

use std::borrow::Cow;

use crate::architecture;

/// The file is well-formed but does not describe a model that can be run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ModelError {
    /// A key is missing or has the wrong type.
    #[error("Key `{key}`: {found}; expected {expected}")]
    Key {
        /// The key.
        key: String,
        /// Expected value.
        expected: Cow<'static, str>,
        /// Found value.
        found: String,
    },
    /// The architecture is unknown.
    #[error("The file has architecture `{0}`; expected one of {known}", known = architecture::names())]
    Architecture(String),
}
