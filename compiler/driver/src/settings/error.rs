//! Errors in settings.

use mc_remote::error::RemoteError;

/// Choices and declarations that do not fit together, or cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// A remote cache is required, and none is named.
    #[error("There is no remote cache, and one is required")]
    NoCache,
    /// The workspace names more than one remote cache.
    #[error("Cannot use the remote cache of workspace.kdl")]
    SeveralDeclared,
    /// The address of the remote cache cannot be used.
    #[error("Cannot use the remote cache")]
    Cache(#[source] RemoteError),
    /// The address of the workers' server cannot be used.
    #[error("Cannot use the remote executor")]
    Executor(#[source] RemoteError),
}
