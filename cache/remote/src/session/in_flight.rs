//! Blobs on their way: what several steps send, or need, at the same time travels once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use mc_digest::digest::BlobDigest;

/// Blobs that are on their way in one direction, and those that arrived, by the server's names.
#[derive(Default)]
pub(crate) struct InFlight {
    state: Mutex<State>,
    /// AuthHeaders whenever something is on its way no more.
    landed: Condvar,
}

#[derive(Default)]
struct State {
    moving: BTreeSet<BlobDigest>,
    /// Those that arrived, with the number of each arrival.
    arrived: BTreeMap<BlobDigest, u64>,
    n_arrived: u64,
}

/// A point in the order of arrivals.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment(u64);

/// Blobs that nobody else moves as long as this is kept.
pub(crate) struct Flight<'a> {
    of: &'a InFlight,
    blobs: Vec<BlobDigest>,
}

impl InFlight {
    /// Now; to be asked for before it is found out what has to be moved.
    pub(crate) fn moment(&self) -> Moment {
        Moment(self.lock().n_arrived)
    }

    /// Takes those of some blobs that did not arrive since a moment, after waiting until nobody else moves any of them.
    /// They are taken all together, so whoever waits here has taken none, and nobody waits for each other.
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
    /// Blobs that are left to be moved.
    pub(crate) fn blobs(&self) -> &[BlobDigest] {
        &self.blobs
    }

    /// They arrived. Without this whoever waits for them moves them.
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
    fn what_many_want_to_move_is_moved_once() {
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
    fn what_failed_is_moved_by_whoever_waits() {
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
    fn what_arrived_before_it_was_missed_is_moved_again() {
        let in_flight = InFlight::default();
        let before = in_flight.moment();
        in_flight.take(blobs("a"), before).arrived();
        assert_eq!(in_flight.take(blobs("ab"), before).blobs(), blobs("b"));
        // The server says now that it lacks it.
        assert_eq!(in_flight.take(blobs("a"), in_flight.moment()).blobs(), blobs("a"));
    }
}
