//! Blobs in transfer: a blob that several actions send or need at the same time is transferred once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use mc_digest::digest::BlobDigest;

/// Blobs in transfer in one direction, and those that arrived, by server digest.
#[derive(Default)]
pub(crate) struct InFlight {
    state: Mutex<State>,
    /// Notified whenever a transfer ends.
    landed: Condvar,
}

#[derive(Default)]
struct State {
    moving: BTreeSet<BlobDigest>,
    /// Blobs that arrived, with the sequence number of each arrival.
    arrived: BTreeMap<BlobDigest, u64>,
    n_arrived: u64,
}

/// A position in the order of arrivals.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment(u64);

/// Blobs reserved for this transfer until the value is dropped.
pub(crate) struct Flight<'a> {
    of: &'a InFlight,
    blobs: Vec<BlobDigest>,
}

impl InFlight {
    /// The current position; taken before the caller determines which blobs it needs.
    pub(crate) fn moment(&self) -> Moment {
        Moment(self.lock().n_arrived)
    }

    /// Reserves those of some blobs that have not arrived since a moment, after waiting until no other thread transfers
    /// any of them. All are reserved at once, so a waiting thread holds none and no deadlock is possible.
    pub(crate) fn take(&self, mut blobs: Vec<BlobDigest>, since: Moment) -> Flight<'_> {
        let mut state = self.lock();
        while blobs.iter().any(|blob| state.moving.contains(blob)) {
            state = self.landed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        blobs.retain(|blob| state.arrived.get(blob).is_none_or(|&nth| nth <= since.0));
        state.moving.extend(&blobs);
        Flight { of: self, blobs }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Flight<'_> {
    /// The blobs to transfer.
    pub(crate) fn blobs(&self) -> &[BlobDigest] {
        &self.blobs
    }

    /// Marks the blobs as arrived. Without this call, waiting threads transfer them.
    pub(crate) fn arrived(self) {
        let mut state = self.of.lock();
        state.n_arrived += 1;
        let nth = state.n_arrived;
        state.arrived.extend(self.blobs.iter().map(|blob| (*blob, nth)));
    }
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        let mut state = self.of.lock();
        for blob in &self.blobs {
            state.moving.remove(blob);
        }
        drop(state);
        self.of.landed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;
    use std::time::Duration;

    use super::*;

    fn blobs(names: &str) -> Vec<BlobDigest> {
        names.bytes().map(|name| BlobDigest::of(&[name])).collect()
    }

    #[test]
    fn a_blob_wanted_by_many_threads_is_transferred_once() {
        let (in_flight, n_moved) = (InFlight::default(), AtomicUsize::new(0));
        thread::scope(|scope| {
            for wanted in ["ab", "bc", "ca", "abc", "a", "b", "c"] {
                let since = in_flight.moment();
                let (in_flight, n_moved) = (&in_flight, &n_moved);
                scope.spawn(move || {
                    let flight = in_flight.take(blobs(wanted), since);
                    thread::sleep(Duration::from_millis(2));
                    n_moved.fetch_add(flight.blobs().len(), Ordering::Relaxed);
                    flight.arrived();
                });
            }
        });
        assert_eq!(n_moved.into_inner(), 3);
    }

    #[test]
    fn a_waiting_thread_repeats_a_failed_transfer() {
        let in_flight = InFlight::default();
        let since = in_flight.moment();
        let first = in_flight.take(blobs("ab"), since);
        thread::scope(|scope| {
            let second = scope.spawn(|| in_flight.take(blobs("b"), since).blobs().len());
            thread::sleep(Duration::from_millis(5));
            drop(first);
            assert_eq!(second.join().unwrap(), 1);
        });
    }

    #[test]
    fn a_blob_that_arrived_before_it_was_missed_is_transferred_again() {
        let in_flight = InFlight::default();
        let before = in_flight.moment();
        in_flight.take(blobs("a"), before).arrived();
        assert_eq!(in_flight.take(blobs("ab"), before).blobs(), blobs("b"));
        // The server now reports that it lacks the blob.
        assert_eq!(in_flight.take(blobs("a"), in_flight.moment()).blobs(), blobs("a"));
    }
}
