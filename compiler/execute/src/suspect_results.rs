//! Reasons to build again: results that a reader refused, and blobs that were gone or wrong when they were read.
//!
//! A cache cannot tell whether the readers of a result can use it; only a reader finds out. If a reader fails, the
//! results that it read and that this machine did not make are made here when the build is tried again. That happens
//! once for each reader; if it fails a second time, the failure is its own.
//!
//! All tries of a command's builds share one [`SuspectResults`], so that nothing is doubted twice.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use mc_digest::digest::{ActionDigest, Digest};
use mc_ir::action::ActionNode;

/// Results and blobs that turned out to be wrong so far.
#[derive(Debug, Default)]
pub struct SuspectResults(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// Results that no cache and no worker is asked for.
    results: BTreeSet<ActionDigest>,
    /// Readers that refused something, by the structure of their nodes.
    readers: BTreeSet<Digest>,
    warnings: Vec<String>,
    n_reasons: usize,
}

impl SuspectResults {
    /// Number of reasons to build again so far. A build after which there are more is to be tried again.
    pub fn n_reasons(&self) -> usize {
        self.lock().n_reasons
    }

    /// Takes the warnings about results that were refused; each is returned once.
    pub fn take_warnings(&self) -> Vec<String> {
        std::mem::take(&mut self.lock().warnings)
    }

    /// Tells whether a result is to be made here, even if somebody has one.
    pub(crate) fn is_suspect(&self, result: &ActionDigest) -> bool {
        self.lock().results.contains(result)
    }

    /// Takes note of a result that was made here.
    pub(crate) fn made(&self, result: &ActionDigest) {
        self.lock().results.remove(result);
    }

    /// Takes note of a blob that was gone or wrong when it was to be read: the next build makes it anew.
    pub(crate) fn lost(&self) {
        self.lock().n_reasons += 1;
    }

    /// Takes note of a reader that failed over results that others made. Returns `false` if it did so before, or if
    /// there are no such results: then the failure is its own.
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
            "`{}` could not use {n} result{plural} that others made: {why}; what it read is made here",
            reader.label
        ));
        true
    }

    // Each change is whole before the lock is given up.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
