//! The SHA-256 of blobs whose BLAKE3 is known, and the other way round: computed once and kept beside the store.
//!
//! A file of records that only grows. A record that was cut off is dropped, and whatever a record says is
//! checked where it matters: a blob from a server by its bytes, a blob of ours by the store.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use mc_digest::digest::{BlobDigest, Digest};

/// Bytes of a record: both hashes and the size.
const RECORD: usize = 72;

/// Pairs of digests.
#[derive(Debug)]
pub struct Known {
    path: Option<PathBuf>,
    /// Read when it is first needed, which is not at all where everything is here.
    state: OnceLock<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    ours: HashMap<BlobDigest, BlobDigest>,
    theirs: HashMap<BlobDigest, BlobDigest>,
    file: Option<File>,
}

impl Known {
    /// No pairs, and nowhere to keep them: for servers with our own digest function.
    pub fn nothing() -> Self {
        Self { path: None, state: OnceLock::new() }
    }

    /// The pairs in a file, which may be added to. A file that cannot be read or written only costs time.
    pub fn open(path: &Path) -> Self {
        Self { path: Some(path.to_owned()), state: OnceLock::new() }
    }

    fn read(path: &Path) -> State {
        let mut state = State::default();
        let mut bytes = Vec::new();
        let opened = OpenOptions::new().read(true).append(true).create(true).open(path);
        if let Ok(mut file) = opened
            && file.read_to_end(&mut bytes).is_ok()
            // A process that was killed may have left half a record.
            && file.set_len((bytes.len() - bytes.len() % RECORD) as u64).is_ok()
        {
            state.file = Some(file);
        }
        for record in bytes.chunks_exact(RECORD) {
            let digest =
                |bytes: &[u8]| Digest::from_bytes(*bytes.first_chunk().expect("a record has 72 bytes"));
            let n_bytes = u64::from_le_bytes(*record[64..].first_chunk().expect("a record has 72 bytes"));
            let (ours, theirs) = (digest(record), digest(&record[32..]));
            state.add(BlobDigest::new(ours, n_bytes), BlobDigest::new(theirs, n_bytes));
        }
        state
    }

    /// The SHA-256 of a blob of ours.
    pub fn theirs(&self, ours: &BlobDigest) -> Option<BlobDigest> {
        self.lock().ours.get(ours).copied()
    }

    /// The BLAKE3 of a blob of theirs.
    pub fn ours(&self, theirs: &BlobDigest) -> Option<BlobDigest> {
        self.lock().theirs.get(theirs).copied()
    }

    /// Remembers a pair.
    pub fn add(&self, ours: BlobDigest, theirs: BlobDigest) {
        let mut state = self.lock();
        if !state.add(ours, theirs) {
            return;
        }
        let mut record = [0; RECORD];
        record[..32].copy_from_slice(ours.hash.as_bytes());
        record[32..64].copy_from_slice(theirs.hash.as_bytes());
        record[64..].copy_from_slice(&ours.n_bytes.to_le_bytes());
        // One write of one record: two processes that add at once do not mix theirs.
        if state.file.as_mut().is_some_and(|file| file.write_all(&record).is_err()) {
            state.file = None;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        let read = || Mutex::new(self.path.as_deref().map(Self::read).unwrap_or_default());
        self.state.get_or_init(read).lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn add(&mut self, ours: BlobDigest, theirs: BlobDigest) -> bool {
        self.theirs.insert(theirs, ours);
        self.ours.insert(ours, theirs).is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::function::DigestFunction;

    #[test]
    fn pairs_outlive_the_process_and_half_a_record_is_dropped() {
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
        let mut bytes = std::fs::read(&path).unwrap();
        bytes.extend([1, 2, 3]);
        std::fs::write(&path, &bytes).unwrap();
        let torn = Known::open(&path);
        assert_eq!(torn.theirs(&ours), Some(theirs));
        let (more, of_more) = pair("b");
        torn.add(more, of_more);
        assert_eq!(std::fs::read(&path).unwrap().len(), 2 * RECORD);
        assert_eq!(Known::open(&path).theirs(&more), Some(of_more));
    }
}
