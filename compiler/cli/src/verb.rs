//! A verb with its arguments.

use crate::exit::Exit;
use crate::failure::Failure;
use crate::invocation::Invocation;

/// A verb with its arguments.
pub(crate) trait Run {
    /// Runs the verb.
    ///
    /// # Errors
    /// The reason why it failed.
    fn run(&self, invocation: &Invocation) -> Result<Exit, Failure>;
}
