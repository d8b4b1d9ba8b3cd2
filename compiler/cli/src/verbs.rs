//! The table of verbs. Adding a verb is a file of its own, a row here, and a page of the manual.

mod clean;
mod completions;

use clap::Subcommand;

use crate::exit::Exit;
use crate::failure::Failure;
use crate::invocation::Invocation;

/// What `mc` is asked to do.
#[derive(Subcommand)]
pub(crate) enum Verb {
    Clean(clean::Clean),
    Completions(completions::Completions),
}

/// A verb with its arguments.
pub(crate) trait Run {
    /// Does what was asked for.
    ///
    /// # Errors
    /// Whatever kept it from coming to its end.
    fn run(&self, invocation: &Invocation) -> Result<Exit, Failure>;
}

impl Verb {
    /// Does what was asked for.
    pub(crate) fn run(&self, invocation: &Invocation) -> Result<Exit, Failure> {
        let verb: &dyn Run = match self {
            Self::Clean(verb) => verb,
            Self::Completions(verb) => verb,
        };
        verb.run(invocation)
    }
}
