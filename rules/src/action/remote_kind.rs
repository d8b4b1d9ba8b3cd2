//! A kind of action that workers can run: it is made of its parameters alone.
//!
//! The kinds stand beside their actions; [`crate::remote_kinds`] lists them.

use mc_ir::action::{Action, ActionKind};

/// The parameters of an action, in their order.
pub(crate) type Parameters = [(String, String)];

/// A kind of action that is made of its parameters alone.
#[derive(Clone, Copy)]
pub(crate) struct RemoteKind {
    /// What it is, and its version.
    pub(crate) kind: ActionKind,
    /// Makes one; a sentence says what is wrong.
    pub(crate) make: fn(&Parameters) -> Result<Box<dyn Action>, String>,
}

/// The value of the last parameter, which must have this name, and those before it.
///
/// # Errors
/// A sentence, when it has another.
pub(crate) fn last<'a>(parameters: &'a Parameters, name: &str) -> Result<(&'a Parameters, &'a str), String> {
    match parameters {
        [before @ .., (found, value)] if found == name => Ok((before, value)),
        _ => Err(format!("Expected `{name}` as the last parameter")),
    }
}

/// A parameter that is a number.
///
/// # Errors
/// A sentence, when it is none.
pub(crate) fn number(name: &str, text: &str) -> Result<usize, String> {
    text.parse().map_err(|_| format!("Parameter `{name}` is `{text}`; expected a number"))
}
