//! Exit codes of `mc`: one for each kind of outcome, so that a script can tell which side is at fault.

use std::process::ExitCode;

use mc_driver::build::targets::{Finished, Status};

/// The outcome of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Exit {
    /// Everything succeeded.
    Done,
    /// An action failed, or a file or the store could not be used.
    Failed,
    /// A declaration or the command line has an error.
    Declaration,
    /// Everything was built, but a gate failed.
    GateFailed,
    /// None of the requested targets has a gate.
    NoTests,
    /// The user interrupted it.
    Interrupted,
    /// A bug in `mc`.
    Bug,
}

impl Exit {
    /// The outcome of a build: the most serious one.
    pub(crate) fn of_build(finished: &Finished) -> Self {
        let has = |wanted| finished.targets.iter().any(|(_, status)| *status == wanted);
        match () {
            () if finished.is_interrupted => Self::Interrupted,
            () if !finished.failures.is_empty() || has(Status::Failed) => Self::Failed,
            () if has(Status::GateFailed) || finished.gates.iter().any(|gate| !gate.verdict.passed) => {
                Self::GateFailed
            }
            () => Self::Done,
        }
    }

    /// The process's exit code.
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Declaration => 2,
            Self::GateFailed => 3,
            Self::NoTests => 4,
            Self::Interrupted => 8,
            Self::Bug => 37,
        }
    }

    /// The outcome as a word, for JSON.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Declaration => "wrong-declaration",
            Self::GateFailed => "gate-failed",
            Self::NoTests => "no-tests",
            Self::Interrupted => "interrupted",
            Self::Bug => "bug",
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}
