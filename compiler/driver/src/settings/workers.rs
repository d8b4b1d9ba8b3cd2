//! The terms on which workers run actions.

use std::path::PathBuf;
use std::time::Duration;

/// The terms on which workers run actions.
#[derive(Clone, Debug)]
pub struct WorkerSettings {
    /// The program that workers run, which is `mc`.
    pub program: PathBuf,
    /// Properties that a worker must have, such as `OSFamily` and `linux`.
    pub properties: Vec<(String, String)>,
    /// Longest wait until a worker takes an action.
    pub queue: Duration,
    /// Longest run of an action on a worker.
    pub run: Duration,
    /// True if workers run every action that they can, wherever its inputs are.
    pub all: bool,
    /// True if what workers make counts as made here, although nobody signs it.
    pub is_trusted: bool,
    /// True if actions that workers could not run are run here.
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
