//! The table of verbs. To add a verb, write a file for it, a row here, and a page of the manual.

mod action;
mod build;
mod cache;
mod check;
mod clean;
mod complete;
mod completions;
mod diff;
mod fetch;
mod help;
mod import;
mod info;
mod inspect;
mod lock;
mod man;
mod model;
mod query;
mod run;
mod test;

use clap::Subcommand;

use crate::exit::Exit;
use crate::failure::Failure;
use crate::invocation::Invocation;
use crate::verb::Run;

/// A verb with its arguments.
#[derive(Subcommand)]
pub(crate) enum Verb {
    Build(build::Build),
    Test(test::Test),
    Run(run::Run),
    Query(query::Query),
    Check(check::Check),
    Lock(lock::Lock),
    Fetch(fetch::Fetch),
    Inspect(inspect::Inspect),
    Diff(diff::Diff),
    Import(import::Import),
    Cache(cache::Cache),
    Clean(clean::Clean),
    Info(info::Info),
    Completions(completions::Completions),
    Man(man::Man),
    Help(help::Help),
    Complete(complete::Complete),
    Action(action::Action),
}

impl Verb {
    /// Runs the verb.
    pub(crate) fn run(&self, invocation: &Invocation) -> Result<Exit, Failure> {
        let verb: &dyn Run = match self {
            Self::Build(verb) => verb,
            Self::Test(verb) => verb,
            Self::Run(verb) => verb,
            Self::Query(verb) => verb,
            Self::Check(verb) => verb,
            Self::Lock(verb) => verb,
            Self::Fetch(verb) => verb,
            Self::Inspect(verb) => verb,
            Self::Diff(verb) => verb,
            Self::Import(verb) => verb,
            Self::Cache(verb) => verb,
            Self::Clean(verb) => verb,
            Self::Info(verb) => verb,
            Self::Completions(verb) => verb,
            Self::Man(verb) => verb,
            Self::Help(verb) => verb,
            Self::Complete(verb) => verb,
            Self::Action(verb) => verb,
        };
        verb.run(invocation)
    }
}
