//! Options of a build: how much runs at a time, and what to do after a failure and on a miss.

/// What to do after a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnFailure {
    /// Finish what runs, begin nothing.
    Stop,
    /// Do everything that does not need what failed.
    KeepGoing,
}

/// How to build.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// How many actions run at a time, and how many threads they share.
    pub n_jobs: usize,
    /// What to do after a failure.
    pub on_failure: OnFailure,
    /// What to do with an action that no cache knows.
    pub on_miss: OnMiss,
}

/// What to do with an action that is in no cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnMiss {
    /// Run it.
    Run,
    /// Nothing: that it would have to run is its failure.
    Fail,
}
