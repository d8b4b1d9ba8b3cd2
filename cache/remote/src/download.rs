//! Downloads of blobs that this machine needs: a promised blob is downloaded when it is first read.
//!
//! `incoming` verifies bytes, `fetch` schedules transfers, `joined` assembles chunks, and `lost_blobs` tracks blobs
//! that a server no longer has. `lookup` handles results.

pub(crate) mod fetch;
pub(crate) mod incoming;
mod joined;
pub(crate) mod lost_blobs;
mod permits;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use mc_digest::digest::BlobDigest;
use mc_store::traits::BlobStore;

use crate::download::fetch::Fetcher;
use crate::download::lost_blobs::LostBlobs;
use crate::error::RemoteError;
use crate::session::Session;

/// The time at which the blobs of a result are fetched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fetching {
    /// Together with the result.
    AtOnce,
    /// On the first read.
    #[default]
    WhenRead,
}

/// Downloads of blobs.
pub(crate) struct Download {
    pub(crate) session: Arc<Session>,
    pub(crate) fetcher: Fetcher,
    pub(crate) losses: LostBlobs,
    pub(crate) fetching: Fetching,
    n_lost: AtomicUsize,
}

impl Download {
    pub(crate) fn new(session: Arc<Session>, fetching: Fetching) -> Self {
        Self {
            fetcher: Fetcher::new(Arc::clone(&session)),
            losses: LostBlobs::new(Arc::clone(&session)),
            session,
            fetching,
            n_lost: AtomicUsize::new(0),
        }
    }

    /// Number of promised blobs that could not be downloaded.
    pub(crate) fn n_lost(&self) -> usize {
        self.n_lost.load(Ordering::Relaxed)
    }

    /// Downloads the given promised blobs that are missing from the store.
    ///
    /// # Errors
    /// Fails if the server fails or the store cannot be written. Blobs that the server no longer has, or sends with
    /// wrong bytes, are counted in [`Self::n_lost`].
    pub(crate) fn bring(&self, store: &dyn BlobStore, ours: &[BlobDigest]) -> Result<(), RemoteError> {
        let promised = &self.session.notes.promised;
        let mut absent = BTreeSet::new();
        for blob in ours {
            if promised.theirs_in(None, blob).is_some() && !store.contains(blob)? {
                absent.insert(*blob);
            }
        }
        if absent.is_empty() {
            return Ok(());
        }
        let brought = self.session.function_to_read().and_then(|function| {
            let named = absent.iter().filter_map(|ours| {
                let theirs = promised.theirs(function, ours)?;
                Some((theirs, Some(*ours)))
            });
            let fetched = self.fetcher.fetch(function, store, &named.collect())?;
            Ok(fetched.into_values().collect::<BTreeSet<_>>())
        });
        if let Err(RemoteError::Store(error)) = brought {
            return Err(error.into());
        }
        let nothing = BTreeSet::new();
        // Includes blobs that were promised in a digest function that the server no longer supports.
        let lost: Vec<&BlobDigest> = absent.difference(brought.as_ref().unwrap_or(&nothing)).collect();
        self.n_lost.fetch_add(lost.len(), Ordering::Relaxed);
        let function = self.session.known_function();
        let named = lost.iter().filter_map(|ours| promised.theirs_in(function, ours));
        match brought {
            Ok(_) => self.session.findings.are_gone(named),
            Err(_) => self.session.findings.are_wrong(named),
        }
        brought.map(drop)
    }

    /// Returns true if a blob was promised and no finding contradicts the promise. A temporarily unreachable server
    /// does not contradict it, because most promised blobs are never read. With [`Fetching::AtOnce`] no promise counts.
    pub(crate) fn promises(&self, ours: &BlobDigest) -> bool {
        if self.fetching == Fetching::AtOnce {
            return false;
        }
        let function = self.session.known_function();
        let Some(theirs) = self.session.notes.promised.theirs_in(function, ours) else { return false };
        if self.session.findings.speak_against(&theirs) {
            return false;
        }
        self.losses.believe(*ours);
        self.losses.are_there(BTreeSet::from([theirs])).unwrap_or(false)
    }
}
