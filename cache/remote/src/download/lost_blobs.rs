//! Promises of a server that do not hold any more.
//!
//! Nobody asks about what is promised, since most of it is never read. Once something turned out to be gone that was
//! promised, the server was cleared, and everything else that it promised is asked about, too, before it is believed
//! again: otherwise a build would be tried once for each floor of its steps.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mc_digest::digest::BlobDigest;
use mc_store::traits::BlobStore;

use crate::error::RemoteError;
use crate::session::Session;

/// Promises that somebody relies on.
pub(crate) struct LostBlobs {
    session: Arc<Session>,
    promises: Mutex<Promises>,
}

#[derive(Default)]
struct Promises {
    /// Our names of blobs that were promised and that are not here, as far as anybody asked for them.
    believed: BTreeSet<BlobDigest>,
    /// The server's names of those that it still had when it was asked after a loss.
    checked: BTreeSet<BlobDigest>,
}

impl LostBlobs {
    pub(crate) fn new(session: Arc<Session>) -> Self {
        Self { session, promises: Mutex::default() }
    }

    /// Takes note of a blob of ours that somebody goes on without, because it was promised.
    pub(crate) fn believe(&self, ours: BlobDigest) {
        self.lock().believed.insert(ours);
    }

    /// After a loss: asks which of the blobs that were promised so far are gone as well, and takes note of them.
    ///
    /// # Errors
    /// When the server fails.
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

    /// Tells whether blobs that were promised are there, as far as is known: nobody asks before the first loss, nor
    /// twice.
    ///
    /// # Errors
    /// When the server fails.
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
