//! Errors in settings.

use mc_remote::error::RemoteError;

/// Choices and declarations that are inconsistent or unusable.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// A remote cache is required, and none is configured.
    #[error("There is no remote cache, and one is required")]
    NoCache,
    /// The workspace names more than one remote cache.
    #[error("Cannot use the remote cache of workspace.kdl")]
    SeveralDeclared,
    /// The URL of the remote cache is invalid.
    #[error("Cannot use the remote cache")]
    Cache(#[source] RemoteError),
    /// The URL of the workers' server is invalid.
    #[error("Cannot use the remote executor")]
    Executor(#[source] RemoteError),
}
