//! Failures within a build. The build continues with everything else.

use std::path::PathBuf;
use std::sync::Arc;

use mc_ir::action::{ActionError, ActionNode};
use mc_store::error::StoreError;

use crate::warning::RemoteFailure;

/// A failure of a build.
#[derive(Debug, thiserror::Error)]
pub enum BuildFailure {
    /// An action failed.
    #[error("Cannot build `{}`", node.label)]
    Action {
        /// The action.
        node: Arc<ActionNode>,
        /// The reason.
        #[source]
        error: ActionError,
    },
    /// The outputs of a target cannot be published.
    #[error("Cannot publish the outputs")]
    Publish {
        /// Their folder.
        directory: PathBuf,
        /// The reason.
        #[source]
        error: StoreError,
    },
    /// The remote cache failed and is required.
    #[error("{0}")]
    RemoteCache(RemoteFailure),
}

impl From<mc_execute::built::Failure> for BuildFailure {
    fn from(failure: mc_execute::built::Failure) -> Self {
        Self::Action { node: failure.node, error: failure.error }
    }
}

/// A build without all requested results.
#[derive(Debug)]
pub struct Unbuilt {
    /// The reasons.
    pub failures: Vec<BuildFailure>,
    /// True if the build was interrupted.
    pub is_interrupted: bool,
}
