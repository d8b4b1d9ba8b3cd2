//! Errors of a command, for callers that report them all in one way.
//!
//! The text of an error says what failed, and its source says why. The caller adds the hint, because it knows the
//! command-line options.

use crate::build::error::EngineError;
use crate::clean::CleanError;
use crate::declaration_error::DeclarationError;
use crate::fetching::error::FetchingError;
use crate::inspect::error::InspectError;
use crate::remote_cache::error::RemoteCacheError;
use crate::settings::error::SettingsError;
use crate::store::StoreUnavailable;
use crate::store_contents::ContentsError;
use crate::workspace::WorkspaceError;

/// The reason for which a command did not complete.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no workspace.
    #[error(transparent)]
    Workspace(#[from] WorkspaceError),
    /// The store cannot be opened.
    #[error(transparent)]
    StoreUnavailable(#[from] StoreUnavailable),
    /// Targets cannot be loaded.
    #[error(transparent)]
    Declaration(#[from] DeclarationError),
    /// Files of declared origins cannot be pinned or fetched.
    #[error(transparent)]
    Fetching(Box<FetchingError>),
    /// Settings are inconsistent.
    #[error(transparent)]
    Settings(Box<SettingsError>),
    /// The remote cache cannot be used.
    #[error(transparent)]
    RemoteCache(Box<RemoteCacheError>),
    /// A build cannot begin, or its results cannot be read.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// A model cannot be inspected.
    #[error(transparent)]
    Inspect(#[from] InspectError),
    /// The contents of the store cannot be read.
    #[error(transparent)]
    Contents(Box<ContentsError>),
    /// Outputs or a store cannot be removed.
    #[error(transparent)]
    Clean(#[from] CleanError),
}

macro_rules! boxed {
    ($($variant:ident($error:ty)),*) => {
        $(impl From<$error> for Error {
            fn from(error: $error) -> Self {
                Self::$variant(Box::new(error))
            }
        })*
    };
}

boxed!(
    Fetching(FetchingError),
    Settings(SettingsError),
    RemoteCache(RemoteCacheError),
    Contents(ContentsError)
);
