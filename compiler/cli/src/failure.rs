//! The reason why a verb failed.

use mc_driver::build::error::EngineError;
use mc_driver::clean::CleanError;
use mc_driver::declaration_error::DeclarationError;
use mc_driver::error::Error;
use mc_driver::fetching::error::FetchingError;
use mc_driver::inspect::error::InspectError;
use mc_driver::remote_cache::error::RemoteCacheError;
use mc_driver::settings::error::SettingsError;
use mc_driver::store::StoreUnavailable;
use mc_driver::store_contents::ContentsError;
use mc_driver::workspace::WorkspaceError;

use crate::report::Report;

/// The reason why a verb failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// An error in the command line or on this machine.
    Report(Report),
    /// An error of the library.
    Error(Box<Error>),
}

impl From<Report> for Failure {
    fn from(report: Report) -> Self {
        Self::Report(report)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Error(Box::new(error))
    }
}

macro_rules! from_errors {
    ($($error:ty),*) => {
        $(impl From<$error> for Failure {
            fn from(error: $error) -> Self {
                Error::from(error).into()
            }
        })*
    };
}

from_errors!(
    CleanError,
    ContentsError,
    DeclarationError,
    EngineError,
    FetchingError,
    InspectError,
    RemoteCacheError,
    SettingsError,
    StoreUnavailable,
    WorkspaceError
);
