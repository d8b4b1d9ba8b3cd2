//! A service that runs actions for others.
//!
//! Which actions are run, and with which blobs, is `workers`' to say; here is only the question and its answers.

use std::time::Duration;

use mc_digest::digest::BlobDigest;

use crate::error::RemoteError;
use crate::function::DigestFunction;

/// An action that is to be run.
#[derive(Clone, Copy, Debug)]
pub struct Task {
    /// The `Action` message, which is in the server's store as all that it names.
    pub action: BlobDigest,
    /// The digest function of the server.
    pub function: DigestFunction,
    /// The time for which it may wait until a worker takes it.
    pub queue: Duration,
    /// The time for which it may run; the action says so, too.
    pub run: Duration,
}

/// The outcome of an action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It came to an end: the `ActionResult`, whose exit code may be that of a failure.
    Ran(Vec<u8>),
    /// It was not begun, because these blobs are not there.
    Missing(Vec<BlobDigest>),
    /// No worker took it in time.
    Queued,
    /// It was given up, and why.
    NotRun(String),
    /// The caller wants no answer any more.
    Cancelled,
}

/// A service that runs actions.
pub trait Executor: Send + Sync {
    /// The name of the service in messages.
    fn name(&self) -> String;

    /// Checks that it runs actions whose digests are made in this way; asked once, before anything is sent.
    ///
    /// # Errors
    /// When it does not, or fails.
    fn check(&self, function: DigestFunction) -> Result<(), RemoteError>;

    /// Has an action run, and waits for its end.
    ///
    /// * `begins`: told when a worker takes the action; again, if it is taken anew
    /// * `is_cancelled`: asked a few times a second; when it says so, the action is given up
    ///
    /// # Errors
    /// When the service fails.
    fn execute(
        &self,
        task: &Task,
        begins: &dyn Fn(),
        is_cancelled: &dyn Fn() -> bool,
    ) -> Result<Answer, RemoteError>;
}
