//! A service that runs actions remotely.
//!
//! `workers` decides which actions run and uploads their blobs; this module only defines the request and its results.

use std::time::Duration;

use mc_digest::digest::BlobDigest;

use crate::error::RemoteError;
use crate::function::DigestFunction;

/// An action to run.
#[derive(Clone, Copy, Debug)]
pub struct Task {
    /// The `Action` message, which the server's store already holds together with all blobs that it names.
    pub action: BlobDigest,
    /// The digest function of the server.
    pub function: DigestFunction,
    /// Limit on the time in the queue until a worker starts the action.
    pub queue: Duration,
    /// Limit on the run time, which the `Action` message also states.
    pub run: Duration,
}

/// The outcome of an action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It finished with an `ActionResult`, whose exit code may report a failure.
    Ran(Vec<u8>),
    /// It was not started, because these blobs are missing.
    Missing(Vec<BlobDigest>),
    /// No worker started it in time.
    Queued,
    /// It was abandoned, for this reason.
    NotRun(String),
    /// The caller cancelled it.
    Cancelled,
}

/// A service that runs actions.
pub trait Executor: Send + Sync {
    /// The service's name in messages.
    fn name(&self) -> String;

    /// Checks that the service runs actions with digests of this function; called once, before any upload.
    ///
    /// # Errors
    /// Fails if it does not, or if the service fails.
    fn check(&self, function: DigestFunction) -> Result<(), RemoteError>;

    /// Runs an action and waits for its end.
    ///
    /// * `begins`: called when a worker starts the action, and again if another worker restarts it
    /// * `is_cancelled`: called a few times a second; if it returns true, the action is abandoned
    ///
    /// # Errors
    /// Fails if the service fails.
    fn execute(
        &self,
        task: &Task,
        begins: &dyn Fn(),
        is_cancelled: &dyn Fn() -> bool,
    ) -> Result<Answer, RemoteError>;
}
