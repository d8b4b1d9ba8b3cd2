//! Errors of a command as a whole.
//!
//! The text of an error says what went wrong, and its source says why. What to type instead is up to the caller, who
//! knows the words of its users.

use mc_analysis::diagnostic::Diagnostics;
use mc_analysis::patterns::PatternError;
use mc_analysis::query::error::QueryError;
use mc_execute::build::ThreadsError;
use mc_ir::action::ActionError;
use mc_ir::label::LabelError;
use mc_store::error::StoreError;

use crate::clean::CleanError;
use crate::failure::Unbuilt;
use crate::fetching::error::FetchingError;
use crate::inspect::error::InspectError;
use crate::remote_cache::error::RemoteCacheError;
use crate::settings::error::SettingsError;
use crate::store::StoreUnavailable;
use crate::workspace::WorkspaceError;

/// The reason for which a command did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no workspace.
    #[error(transparent)]
    Workspace(#[from] WorkspaceError),
    /// The store cannot be opened.
    #[error(transparent)]
    StoreUnavailable(#[from] StoreUnavailable),
    /// The store cannot be read or written.
    #[error("Cannot use the store")]
    Store(#[from] StoreError),
    /// Declarations are wrong.
    #[error("The declarations are wrong")]
    Declarations(Box<Diagnostics>),
    /// A pattern is not a label.
    #[error("`{text}` is not a label: {}", error.reason)]
    Pattern {
        /// The pattern.
        text: String,
        /// The reason.
        error: LabelError,
    },
    /// Patterns stand for nothing.
    #[error("{}", messages(.0))]
    Unknown(Vec<PatternError>),
    /// A query is wrong.
    #[error("{error}")]
    Query {
        /// The query.
        text: String,
        /// The reason, and the place.
        error: QueryError,
    },
    /// Files of declared origins cannot be pinned or fetched.
    #[error(transparent)]
    Fetching(Box<FetchingError>),
    /// A model cannot be looked into.
    #[error(transparent)]
    Inspect(#[from] InspectError),
    /// Outputs or a store cannot be removed.
    #[error(transparent)]
    Clean(#[from] CleanError),
    /// Settings do not fit together.
    #[error(transparent)]
    Settings(Box<SettingsError>),
    /// The remote cache cannot be used.
    #[error(transparent)]
    RemoteCache(Box<RemoteCacheError>),
    /// The threads of the build cannot be started.
    #[error("Cannot start the build")]
    Threads(#[source] ThreadsError),
    /// Something that was asked for is not built.
    #[error("Not everything was built")]
    Unbuilt(Box<Unbuilt>),
    /// An output that was asked for cannot be fetched from the remote cache.
    #[error("Cannot fetch what was asked for")]
    BringOutput(#[source] ActionError),
    /// An output cannot be read.
    #[error("Cannot read an output")]
    ReadOutput(#[source] ActionError),
    /// The verdict of a gate cannot be read.
    #[error("Cannot read a gate's verdict")]
    Verdict(String),
    /// The reports about a model's tensors cannot be read.
    #[error("Cannot read what was told of a model's tensors")]
    TensorReports(String),
}

fn messages(errors: &[PatternError]) -> String {
    let messages: Vec<&str> = errors.iter().map(|error| error.message.as_str()).collect();
    messages.join("\n")
}

impl From<FetchingError> for Error {
    fn from(error: FetchingError) -> Self {
        Self::Fetching(Box::new(error))
    }
}

impl From<SettingsError> for Error {
    fn from(error: SettingsError) -> Self {
        Self::Settings(Box::new(error))
    }
}

impl From<RemoteCacheError> for Error {
    fn from(error: RemoteCacheError) -> Self {
        Self::RemoteCache(Box::new(error))
    }
}
