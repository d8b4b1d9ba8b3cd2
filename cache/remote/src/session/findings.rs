//! Findings about the blobs of a server during a command, by server digest.
//!
//! This module sends no requests; its callers report their findings.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mc_digest::digest::BlobDigest;

/// Limit on blobs requested without success. Beyond it the server is ignored: a cleared server is useless, and one that
/// invents results could go on forever.
const MAX_UNSUCCESSFUL: usize = 1000;

/// Limit on the total time of such requests.
const MAX_UNSUCCESSFUL_TIME: Duration = Duration::from_secs(600);

/// Findings about blobs.
#[derive(Default)]
pub(crate) struct Findings(Mutex<State>);

#[derive(Default)]
struct State {
    /// Blobs that were corrupt or missing: a result that names one is ignored, and they are uploaded again even if the
    /// server claims to have them.
    wrong: BTreeSet<BlobDigest>,
    /// The first response that failed verification.
    mismatch: Option<String>,
    /// Number of missing blobs that a result names.
    n_gone: usize,
    /// Number of blobs requested without success, and the total time of these requests.
    unsuccessful: (usize, Duration),
    /// True if the server's results and promises are ignored.
    is_given_up: bool,
}

impl Findings {
    /// Returns true if a blob was corrupt or missing.
    pub(crate) fn is_wrong(&self, theirs: &BlobDigest) -> bool {
        self.lock().wrong.contains(theirs)
    }

    /// The blobs among some that were corrupt or missing.
    pub(crate) fn wrong_among<'a>(
        &self,
        theirs: impl IntoIterator<Item = &'a BlobDigest>,
    ) -> BTreeSet<BlobDigest> {
        let state = self.lock();
        theirs.into_iter().filter(|blob| state.wrong.contains(blob)).copied().collect()
    }

    /// Returns true if the promise of a blob is invalid.
    pub(crate) fn speak_against(&self, theirs: &BlobDigest) -> bool {
        let state = self.lock();
        state.is_given_up || state.wrong.contains(theirs)
    }

    /// Records unavailable blobs.
    pub(crate) fn are_wrong(&self, theirs: impl IntoIterator<Item = BlobDigest>) {
        self.lock().wrong.extend(theirs);
    }

    /// Records missing blobs that results name; corrupt ones are not counted here.
    pub(crate) fn are_gone(&self, theirs: impl IntoIterator<Item = BlobDigest>) {
        let mut state = self.lock();
        for blob in theirs {
            state.n_gone += usize::from(state.wrong.insert(blob));
        }
    }

    /// Number of missing blobs that a result names.
    pub(crate) fn n_gone(&self) -> usize {
        self.lock().n_gone
    }

    /// Records a corrupt blob.
    pub(crate) fn mismatched(&self, theirs: BlobDigest, mismatch: String) {
        let mut state = self.lock();
        state.wrong.insert(theirs);
        state.mismatch.get_or_insert(mismatch);
    }

    /// The first response that failed verification.
    pub(crate) fn invalid_response(&self) -> Option<String> {
        self.lock().mismatch.clone()
    }

    /// Records a blob that was requested without success.
    pub(crate) fn record_unsuccessful(&self, elapsed: Duration) {
        let mut state = self.lock();
        let (n_blobs, all) = (state.unsuccessful.0 + 1, state.unsuccessful.1.saturating_add(elapsed));
        state.unsuccessful = (n_blobs, all);
        state.is_given_up |= n_blobs >= MAX_UNSUCCESSFUL || all > MAX_UNSUCCESSFUL_TIME;
    }

    /// Ignores the server's results and promises from now on.
    pub(crate) fn give_up(&self) {
        self.lock().is_given_up = true;
    }

    /// Returns true if the server's results and promises are ignored.
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
    fn a_corrupt_blob_does_not_count_as_missing() {
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
    fn a_server_without_the_requested_blobs_is_ignored_at_some_point() {
        let (many, long) = (Findings::default(), Findings::default());
        (1..MAX_UNSUCCESSFUL).for_each(|_| many.record_unsuccessful(Duration::ZERO));
        assert!(!many.is_given_up());
        many.record_unsuccessful(Duration::ZERO);
        long.record_unsuccessful(MAX_UNSUCCESSFUL_TIME);
        assert!(many.is_given_up() && !long.is_given_up());
        long.record_unsuccessful(Duration::from_secs(1));
        assert!(long.is_given_up());
        assert!(long.speak_against(&BlobDigest::of(b"any")));
    }
}
