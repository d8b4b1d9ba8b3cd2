//! Options of a build: parallelism, and behavior after a failure and on a cache miss.

/// Behavior after a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnFailure {
    /// Finish running actions, start no others.
    Stop,
    /// Run every action that does not depend on a failed one.
    KeepGoing,
}

/// Options of a build.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Number of actions that run at a time, and number of threads that they share.
    pub n_jobs: usize,
    /// Behavior after a failure.
    pub on_failure: OnFailure,
    /// Behavior on a cache miss.
    pub on_miss: OnMiss,
}

/// Behavior for an action that is in no cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnMiss {
    /// Run the action.
    Run,
    /// Fail the action.
    Fail,
}
