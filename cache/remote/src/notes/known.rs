//! Pairs of BLAKE3 and SHA-256 digests of the same blobs: computed once and kept next to the store.
//!
//! A record is not trusted: a blob from a server is verified by its bytes, and a local blob by the store.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use mc_digest::digest::{BlobDigest, Digest};

use crate::notes::records::Records;

/// Bytes per record: both hashes and the size.
const RECORD: usize = 72;

/// Limit on the pairs, which a server could otherwise fill with invented digests.
const MAX_PAIRS: usize = 1 << 19;

/// Pairs of digests.
#[derive(Debug)]
pub struct Known {
    path: Option<PathBuf>,
    /// Read on first use, which never happens if all results are local.
    state: OnceLock<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    pairs: Pairs,
    records: Records<RECORD>,
}

#[derive(Debug, Default)]
struct Pairs {
    ours: HashMap<BlobDigest, BlobDigest>,
    theirs: HashMap<BlobDigest, BlobDigest>,
}

impl Known {
    /// No pairs and no file, for servers with BLAKE3.
    pub fn nothing() -> Self {
        Self { path: None, state: OnceLock::new() }
    }

    /// Opens the pairs in a file. A file that cannot be read or written only costs time.
    pub fn open(path: &Path) -> Self {
        Self { path: Some(path.to_owned()), state: OnceLock::new() }
    }

    fn read(path: &Path) -> State {
        let mut pairs = Pairs::default();
        let records = Records::open(path, MAX_PAIRS, |record: &[u8; RECORD]| {
            let hash =
                |bytes: &[u8]| Digest::from_bytes(*bytes.first_chunk().expect("a record has 72 bytes"));
            let n_bytes = u64::from_le_bytes(*record.last_chunk().expect("a record has 72 bytes"));
            let (ours, theirs) = (hash(record), hash(&record[32..]));
            pairs.add(BlobDigest::new(ours, n_bytes), BlobDigest::new(theirs, n_bytes));
        });
        State { pairs, records }
    }

    /// The SHA-256 digest of a local blob.
    pub fn theirs(&self, ours: &BlobDigest) -> Option<BlobDigest> {
        self.lock().pairs.ours.get(ours).copied()
    }

    /// The BLAKE3 digest of a server's blob.
    pub fn ours(&self, theirs: &BlobDigest) -> Option<BlobDigest> {
        self.lock().pairs.theirs.get(theirs).copied()
    }

    /// Records a pair and replaces an earlier pair of the same blob; `false` if the limit is reached.
    pub fn add(&self, ours: BlobDigest, theirs: BlobDigest) -> bool {
        let mut state = self.lock();
        if state.pairs.ours.len() >= MAX_PAIRS && !state.pairs.ours.contains_key(&ours) {
            return false;
        }
        if !state.pairs.add(ours, theirs) {
            return true;
        }
        let mut record = [0; RECORD];
        record[..32].copy_from_slice(ours.hash.as_bytes());
        record[32..64].copy_from_slice(theirs.hash.as_bytes());
        record[64..].copy_from_slice(&ours.n_bytes.to_le_bytes());
        state.records.add(&[record]);
        true
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        let read = || Mutex::new(self.path.as_deref().map(Self::read).unwrap_or_default());
        self.state.get_or_init(read).lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pairs {
    fn add(&mut self, ours: BlobDigest, theirs: BlobDigest) -> bool {
        let before = self.ours.insert(ours, theirs);
        if let Some(before) = before.filter(|before| *before != theirs) {
            self.theirs.remove(&before);
        }
        self.theirs.insert(theirs, ours);
        before != Some(theirs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::function::DigestFunction;

    #[test]
    fn pairs_outlive_the_process() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sha256");
        let pair = |text: &str| {
            let bytes = text.as_bytes();
            (BlobDigest::of(bytes), DigestFunction::Sha256.digest(bytes))
        };
        let (ours, theirs) = pair("a");
        Known::open(&path).add(ours, theirs);
        let again = Known::open(&path);
        assert_eq!((again.theirs(&ours), again.ours(&theirs)), (Some(theirs), Some(ours)));
        let (more, of_more) = pair("b");
        again.add(more, of_more);
        assert_eq!(Known::open(&path).theirs(&more), Some(of_more));
        assert_eq!(again.theirs(&BlobDigest::of(b"c")), None);
        // A wrong pair is replaced permanently.
        again.add(more, theirs);
        again.add(more, of_more);
        let last = Known::open(&path);
        assert_eq!((last.theirs(&more), last.ours(&theirs)), (Some(of_more), None));
    }
}
