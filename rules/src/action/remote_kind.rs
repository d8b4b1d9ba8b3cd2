//! A kind of action that workers can run: its parameters alone define it.
//!
//! Each kind is declared next to its action; [`crate::remote_kinds`] lists them.

use mc_ir::action::{Action, ActionKind};

/// The parameters of an action, in order.
pub(crate) type Parameters = [(String, String)];

/// A kind of action that its parameters alone define.
#[derive(Clone, Copy)]
pub(crate) struct RemoteKind {
    /// Name and version of the kind.
    pub(crate) kind: ActionKind,
    /// Creates an action from its parameters; the error is a sentence for the user.
    pub(crate) make: fn(&Parameters) -> Result<Box<dyn Action>, String>,
}

/// Returns the value of the last parameter, which must have this name, and the parameters before it.
///
/// # Errors
/// A sentence for the user if the last parameter has another name.
pub(crate) fn last<'a>(parameters: &'a Parameters, name: &str) -> Result<(&'a Parameters, &'a str), String> {
    match parameters {
        [before @ .., (found, value)] if found == name => Ok((before, value)),
        _ => Err(format!("Expected `{name}` as the last parameter")),
    }
}

/// Parses a parameter as a number.
///
/// # Errors
/// A sentence for the user if it is not a number.
pub(crate) fn number(name: &str, text: &str) -> Result<usize, String> {
    text.parse().map_err(|_| format!("Parameter `{name}` is `{text}`; expected a number"))
}
