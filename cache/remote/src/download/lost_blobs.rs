//! Promises that a server no longer keeps.
//!
//! Promised blobs are not checked, since most of them are never read. A single missing promised blob shows that the
//! server was cleared. All other promises are then checked before they are used again; otherwise the build would be
//! repeated once per level of its action graph.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mc_digest::digest::BlobDigest;
use mc_store::traits::BlobStore;

use crate::error::RemoteError;
use crate::session::Session;

/// The promises that this build relies on.
pub(crate) struct LostBlobs {
    session: Arc<Session>,
    promises: Mutex<Promises>,
}

#[derive(Default)]
struct Promises {
    /// BLAKE3 digests of promised, missing blobs that an action relied on.
    believed: BTreeSet<BlobDigest>,
    /// Server digests of those that the server still had when it was asked after a loss.
    checked: BTreeSet<BlobDigest>,
}

impl LostBlobs {
    pub(crate) fn new(session: Arc<Session>) -> Self {
        Self { session, promises: Mutex::default() }
    }

    /// Records that an action relies on a promised blob.
    pub(crate) fn believe(&self, ours: BlobDigest) {
        self.lock().believed.insert(ours);
    }

    /// After a loss, asks the server which of the promised blobs are also gone, and records them.
    ///
    /// # Errors
    /// Fails if the server fails.
    pub(crate) fn look(&self, store: &dyn BlobStore) -> Result<(), RemoteError> {
        let mut promises = self.lock();
        promises.checked.clear();
        let believed = promises.believed.clone();
        drop(promises);
        let function = self.session.known_function();
        let mut asked = BTreeSet::new();
        for ours in believed {
            if let Some(theirs) = self.session.notes.promised.theirs_in(function, &ours)
                && !store.contains(&ours)?
            {
                asked.insert(theirs);
            }
        }
        self.are_there(asked).map(drop)
    }

    /// Returns true if promised blobs are there, as far as is known: the server is asked only after the first loss, and
    /// once per blob.
    ///
    /// # Errors
    /// Fails if the server fails.
    pub(crate) fn are_there(&self, theirs: BTreeSet<BlobDigest>) -> Result<bool, RemoteError> {
        let findings = &self.session.findings;
        if findings.n_gone() == 0 {
            return Ok(true);
        }
        let wrong = findings.wrong_among(&theirs);
        let promises = self.lock();
        let open: Vec<BlobDigest> =
            theirs.difference(&promises.checked).filter(|blob| !wrong.contains(blob)).copied().collect();
        drop(promises);
        if !open.is_empty() {
            let absent = self.session.absent(&self.session.reading, &open)?;
            self.lock().checked.extend(open.iter().filter(|blob| !absent.contains(blob)));
            findings.are_gone(absent);
        }
        Ok(findings.wrong_among(&theirs).is_empty())
    }

    fn lock(&self) -> MutexGuard<'_, Promises> {
        self.promises.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
