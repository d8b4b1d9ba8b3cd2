//! Settings of remote workers.

use std::path::PathBuf;
use std::time::Duration;

/// Settings of remote workers.
#[derive(Clone, Debug)]
pub struct WorkerSettings {
    /// The `mc` program that workers run.
    pub program: PathBuf,
    /// Properties that a worker must have, such as `OSFamily` and `linux`.
    pub properties: Vec<(String, String)>,
    /// Timeout until a worker takes an action.
    pub queue: Duration,
    /// Timeout for an action on a worker.
    pub run: Duration,
    /// True if workers run every action that they can, regardless of the location of its inputs.
    pub all: bool,
    /// True if results of workers count as made here, although they are not signed.
    pub is_trusted: bool,
    /// True if actions that workers could not run are run locally.
    pub falls_back: bool,
}

impl Default for WorkerSettings {
    fn default() -> Self {
        Self {
            program: PathBuf::from("mc"),
            properties: Vec::new(),
            queue: Duration::from_secs(60),
            run: Duration::from_secs(3600),
            all: false,
            is_trusted: false,
            falls_back: true,
        }
    }
}
