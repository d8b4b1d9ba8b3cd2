//! Why a verb did not come to its end.

use crate::exit::Exit;
use crate::report::Report;

/// Why a verb did not come to its end.
#[derive(Debug)]
pub(crate) enum Failure {
    /// One error, still to be shown.
    Report(Report),
    /// Everything was shown already.
    Told(Exit),
}

impl From<Report> for Failure {
    fn from(report: Report) -> Self {
        Self::Report(report)
    }
}
