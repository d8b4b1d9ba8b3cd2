//! What a server has no more.
//!
//! Nobody asks about what is promised, since most of it is never read. Once something turned out to be gone that was
//! promised, the server was cleared, and everything else that it promised is asked about, too, before it is believed
//! again: otherwise a build would be tried once for each floor of its steps.

use std::collections::BTreeSet;

use mc_digest::digest::BlobDigest;
use mc_store::traits::BlobStore;

use crate::error::RemoteError;
use crate::remote::Remote;

impl Remote {
    /// Takes note of blobs that results name and that are not there; those that came wrongly are none of them.
    pub(crate) fn are_gone(&self, theirs: impl IntoIterator<Item = BlobDigest>) {
        let mut state = self.state();
        for blob in theirs {
            state.n_gone += usize::from(state.wrong.insert(blob));
        }
    }

    /// After a loss: asks which of the blobs that were promised so far are gone as well, and takes note of them.
    ///
    /// # Errors
    /// When the server fails.
    pub fn look_for_losses(&self, store: &dyn BlobStore) -> Result<(), RemoteError> {
        let mut state = self.state();
        state.checked.clear();
        let believed = state.believed.clone();
        drop(state);
        let function = self.known_function();
        let mut asked = BTreeSet::new();
        for ours in believed {
            if let Some(theirs) = self.promise_in(function, &ours)
                && !store.contains(&ours)?
            {
                asked.insert(theirs);
            }
        }
        self.are_there(asked).map(drop)
    }

    /// Whether blobs that were promised are there, as far as is known: nobody asks before the first loss, nor twice.
    pub(crate) fn are_there(&self, theirs: BTreeSet<BlobDigest>) -> Result<bool, RemoteError> {
        let state = self.state();
        if state.n_gone == 0 {
            return Ok(true);
        }
        let open: Vec<BlobDigest> =
            theirs.difference(&state.checked).filter(|blob| !state.wrong.contains(blob)).copied().collect();
        drop(state);
        if !open.is_empty() {
            let absent = self.absent(&self.reading, &open)?;
            self.state().checked.extend(open.iter().filter(|blob| !absent.contains(blob)));
            self.are_gone(absent);
        }
        let state = self.state();
        Ok(!theirs.iter().any(|blob| state.wrong.contains(blob)))
    }

    /// Its results and its promises count no more.
    pub fn give_up(&self) {
        self.state().is_given_up = true;
    }

    /// Whether its results and its promises count no more.
    pub fn is_given_up(&self) -> bool {
        self.state().is_given_up
    }
}
