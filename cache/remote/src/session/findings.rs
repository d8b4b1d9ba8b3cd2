//! Findings about the blobs of a server during a command, by the server's names for them.
//!
//! Nothing is asked here; whoever asked says what turned out.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mc_digest::digest::BlobDigest;

/// So many blobs are asked for in vain before the server is given up: one that was cleared has nothing of use, and one
/// that makes results up could go on for ever.
const MAX_VAIN: usize = 1000;

/// And for so long in all.
const MAX_VAIN_TIME: Duration = Duration::from_secs(600);

/// Findings about blobs.
#[derive(Default)]
pub(crate) struct Findings(Mutex<State>);

#[derive(Default)]
struct State {
    /// Those that the server sent wrongly, or had no more: a result that names one is none, and they are sent anew,
    /// whatever it says that it has.
    wrong: BTreeSet<BlobDigest>,
    /// The first thing that it sent and that was not believed.
    mismatch: Option<String>,
    /// Number of blobs that were not there though a result names them.
    n_gone: usize,
    /// Number of blobs that were asked for in vain, and how long that took in all.
    vain: (usize, Duration),
    /// True if its results and promises are worth nothing any more.
    is_given_up: bool,
}

impl Findings {
    /// Tells whether a blob came wrongly, or is not there.
    pub(crate) fn is_wrong(&self, theirs: &BlobDigest) -> bool {
        self.lock().wrong.contains(theirs)
    }

    /// Those of some blobs that came wrongly, or are not there.
    pub(crate) fn wrong_among<'a>(
        &self,
        theirs: impl IntoIterator<Item = &'a BlobDigest>,
    ) -> BTreeSet<BlobDigest> {
        let state = self.lock();
        theirs.into_iter().filter(|blob| state.wrong.contains(blob)).copied().collect()
    }

    /// Tells whether a promise of a blob is worth nothing.
    pub(crate) fn speak_against(&self, theirs: &BlobDigest) -> bool {
        let state = self.lock();
        state.is_given_up || state.wrong.contains(theirs)
    }

    /// Takes note of blobs that cannot be had.
    pub(crate) fn are_wrong(&self, theirs: impl IntoIterator<Item = BlobDigest>) {
        self.lock().wrong.extend(theirs);
    }

    /// Takes note of blobs that results name and that are not there; those that came wrongly are none of them.
    pub(crate) fn are_gone(&self, theirs: impl IntoIterator<Item = BlobDigest>) {
        let mut state = self.lock();
        for blob in theirs {
            state.n_gone += usize::from(state.wrong.insert(blob));
        }
    }

    /// Number of blobs that were not there though a result names them.
    pub(crate) fn n_gone(&self) -> usize {
        self.lock().n_gone
    }

    /// Takes note of a blob that came wrongly.
    pub(crate) fn mismatched(&self, theirs: BlobDigest, mismatch: String) {
        let mut state = self.lock();
        state.wrong.insert(theirs);
        state.mismatch.get_or_insert(mismatch);
    }

    /// The first thing that was sent and not believed.
    pub(crate) fn invalid_response(&self) -> Option<String> {
        self.lock().mismatch.clone()
    }

    /// Takes note of a blob that was asked for in vain.
    pub(crate) fn in_vain(&self, elapsed: Duration) {
        let mut state = self.lock();
        let (n_blobs, all) = (state.vain.0 + 1, state.vain.1.saturating_add(elapsed));
        state.vain = (n_blobs, all);
        state.is_given_up |= n_blobs >= MAX_VAIN || all > MAX_VAIN_TIME;
    }

    /// The server's results and its promises count no more.
    pub(crate) fn give_up(&self) {
        self.lock().is_given_up = true;
    }

    /// Tells whether the server's results and its promises count no more.
    pub(crate) fn is_given_up(&self) -> bool {
        self.lock().is_given_up
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blob_that_came_wrongly_is_not_gone() {
        let findings = Findings::default();
        let [wrong, gone] = [b"a", b"b"].map(|bytes| BlobDigest::of(bytes));
        findings.mismatched(wrong, "the first".to_owned());
        findings.mismatched(wrong, "the second".to_owned());
        findings.are_gone([wrong, gone, gone]);
        assert_eq!((findings.n_gone(), findings.invalid_response().as_deref()), (1, Some("the first")));
        assert!(findings.is_wrong(&gone) && findings.speak_against(&wrong));
        assert_eq!(findings.wrong_among(&[wrong, BlobDigest::of(b"c")]), BTreeSet::from([wrong]));
    }

    #[test]
    fn a_server_that_is_asked_in_vain_again_and_again_is_given_up() {
        let (many, long) = (Findings::default(), Findings::default());
        (1..MAX_VAIN).for_each(|_| many.in_vain(Duration::ZERO));
        assert!(!many.is_given_up());
        many.in_vain(Duration::ZERO);
        long.in_vain(MAX_VAIN_TIME);
        assert!(many.is_given_up() && !long.is_given_up());
        long.in_vain(Duration::from_secs(1));
        assert!(long.is_given_up());
        assert!(long.speak_against(&BlobDigest::of(b"any")));
    }
}
