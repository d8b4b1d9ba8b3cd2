//! Errors of an engine: the store, the remote cache, and unreadable results.

use std::path::PathBuf;

use mc_execute::build::BuildError;
use mc_ir::action::ActionError;
use mc_store::error::StoreError;

use crate::remote_cache::error::RemoteCacheError;
use crate::store::StoreUnavailable;

/// A build that cannot begin, or whose results cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The store cannot be opened.
    #[error(transparent)]
    StoreUnavailable(#[from] StoreUnavailable),
    /// The store cannot be read or written.
    #[error("Cannot use the store")]
    Store(#[source] Box<StoreError>),
    /// The remote cache cannot be used.
    #[error(transparent)]
    RemoteCache(Box<RemoteCacheError>),
    /// The folder for outputs holds files that mc did not make.
    #[error("`{dir}` was not made by mc", dir = dir.display())]
    ForeignOutputs {
        /// The folder.
        dir: PathBuf,
        /// One of the files.
        entry: String,
    },
    /// The threads of the build cannot be started.
    #[error("Cannot start the build")]
    Threads(#[source] Box<BuildError>),
    /// A requested output cannot be downloaded from the remote cache.
    #[error("Cannot fetch the requested outputs")]
    BringOutput(#[source] ActionError),
    /// An output cannot be read.
    #[error("Cannot read an output")]
    ReadOutput(#[source] ActionError),
    /// The verdict of a gate cannot be read.
    #[error("Cannot read a gate's verdict")]
    Verdict(String),
    /// The reports about a model's tensors cannot be read.
    #[error("Cannot read the reports about a model's tensors")]
    TensorReports(String),
}

impl From<RemoteCacheError> for EngineError {
    fn from(error: RemoteCacheError) -> Self {
        Self::RemoteCache(Box::new(error))
    }
}

impl From<BuildError> for EngineError {
    fn from(error: BuildError) -> Self {
        match error {
            BuildError::Store(error) => Self::Store(Box::new(error)),
            threads @ BuildError::Threads { .. } => Self::Threads(Box::new(threads)),
        }
    }
}
