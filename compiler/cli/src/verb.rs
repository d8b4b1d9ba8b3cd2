//! A verb with its arguments.

use crate::exit::Exit;
use crate::failure::Failure;
use crate::invocation::Invocation;

/// A verb with its arguments.
pub(crate) trait Run {
    /// Does what was asked for.
    ///
    /// # Errors
    /// Whatever kept it from coming to its end.
    fn run(&self, invocation: &Invocation) -> Result<Exit, Failure>;
}
