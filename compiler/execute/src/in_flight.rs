//! Prevents two threads from running the same action at the same time.
//!
//! Two nodes of one graph may turn out to be the same action once their inputs are known: two copies of a file, or two
//! actions with equal outputs. The second thread waits for the first and finds its result in the action cache.

use std::collections::BTreeSet;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use mc_digest::digest::ActionDigest;

/// The actions that are running.
#[derive(Debug, Default)]
pub(crate) struct InFlight {
    running: Mutex<BTreeSet<ActionDigest>>,
    ended: Condvar,
}

/// The right to run an action; released on drop, whether or not the action succeeded.
pub(crate) struct Claim<'a> {
    in_flight: &'a InFlight,
    digest: ActionDigest,
    /// True if another thread ran the action in the meantime, so that a second lookup is worthwhile.
    pub(crate) has_waited: bool,
}

impl InFlight {
    /// Waits until no other thread runs the action. Must not be called from a thread on whose progress others depend.
    pub(crate) fn claim(&self, digest: ActionDigest) -> Claim<'_> {
        let mut running = self.lock();
        let mut has_waited = false;
        while !running.insert(digest) {
            has_waited = true;
            running = self.ended.wait(running).unwrap_or_else(PoisonError::into_inner);
        }
        Claim { in_flight: self, digest, has_waited }
    }

    // The set is consistent between any two of its calls.
    fn lock(&self) -> MutexGuard<'_, BTreeSet<ActionDigest>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        self.in_flight.lock().remove(&self.digest);
        self.in_flight.ended.notify_all();
    }
}
