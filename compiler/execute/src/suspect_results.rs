//! Reasons to build again: results that a reader rejected, and blobs that were missing or wrong when they were read.
//!
//! A cache cannot tell whether the readers of a result can use it; only a reader detects that. If a reader fails, this
//! machine remakes the foreign results that it read when the build is retried. That happens once per reader; if it
//! fails a second time, the failure is its own.
//!
//! All attempts of a command share one [`SuspectResults`], so that nothing is suspected twice.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use mc_digest::digest::{ActionDigest, Digest};
use mc_ir::action::ActionNode;

/// Results and blobs found to be wrong so far.
#[derive(Debug, Default)]
pub struct SuspectResults(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// Results that are not looked up in any cache or on any worker.
    results: BTreeSet<ActionDigest>,
    /// Readers that rejected something, by the structure of their nodes.
    readers: BTreeSet<Digest>,
    warnings: Vec<String>,
    n_reasons: usize,
}

impl SuspectResults {
    /// Number of reasons to build again so far. If it grew during a build, the build should be retried.
    pub fn n_reasons(&self) -> usize {
        self.lock().n_reasons
    }

    /// Takes the warnings about rejected results; each is returned once.
    pub fn take_warnings(&self) -> Vec<String> {
        std::mem::take(&mut self.lock().warnings)
    }

    /// Returns true if this machine must make the result, even if a cache has one.
    pub(crate) fn is_suspect(&self, result: &ActionDigest) -> bool {
        self.lock().results.contains(result)
    }

    /// Records a result that this machine made.
    pub(crate) fn made(&self, result: &ActionDigest) {
        self.lock().results.remove(result);
    }

    /// Records a blob that was missing or wrong when it was read: the next build makes it again.
    pub(crate) fn lost(&self) {
        self.lock().n_reasons += 1;
    }

    /// Records a reader that failed on foreign results. Returns `false` if it did so before, or if it read no foreign
    /// results: then the failure is its own.
    ///
    /// * `results`: their keys
    pub(crate) fn refused(&self, reader: &ActionNode, why: &str, results: &BTreeSet<ActionDigest>) -> bool {
        let mut state = self.lock();
        if results.is_empty() || !state.readers.insert(reader.structure()) {
            return false;
        }
        state.results.extend(results);
        state.n_reasons += 1;
        let (n, plural) = (results.len(), if results.len() == 1 { "" } else { "s" });
        state.warnings.push(format!(
            "`{}` could not use {n} foreign result{plural}: {why}; its inputs are remade here",
            reader.label
        ));
        true
    }

    // Every change is complete before the lock is released.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
