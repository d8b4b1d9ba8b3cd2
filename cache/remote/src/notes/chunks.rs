//! Places of chunks on this machine: a server once said that blobs of ours consist of them.
//!
//! Kept beside the store. Notes, not promises: the blob may be gone, and whatever is joined of chunks is checked whole.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use mc_digest::digest::{BlobDigest, Digest};

use crate::notes::records::Records;

/// Bytes of a record: a chunk's hash and size, the blob's, and the chunk's first byte in it.
const RECORD: usize = 88;

/// So many stretches are kept: some hundred megabytes.
const MAX_STRETCHES: usize = 1 << 19;

/// A stretch of a blob of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ChunkRange {
    pub(crate) blob: BlobDigest,
    pub(crate) first: u64,
}

/// Chunks, by the server's names.
#[derive(Debug)]
pub struct Chunks {
    path: Option<PathBuf>,
    /// Read when it is first needed.
    state: OnceLock<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    stretches: HashMap<BlobDigest, ChunkRange>,
    records: Records<RECORD>,
}

impl Chunks {
    /// Those in a file, which may be added to; without one they are known in this process.
    pub fn open(path: Option<&Path>) -> Self {
        Self { path: path.map(Path::to_owned), state: OnceLock::new() }
    }

    fn read(path: &Path) -> State {
        let mut stretches = HashMap::new();
        let records = Records::open(path, MAX_STRETCHES, |record: &[u8; RECORD]| {
            let number =
                |at: usize| u64::from_le_bytes(*record[at..].first_chunk().expect("a record has 88 bytes"));
            let blob = |at: usize| {
                let hash = Digest::from_bytes(*record[at..].first_chunk().expect("a record has 88 bytes"));
                BlobDigest::new(hash, number(at + 32))
            };
            stretches.insert(blob(0), ChunkRange { blob: blob(40), first: number(80) });
        });
        State { stretches, records }
    }

    /// The place of a chunk, if the blob is still there.
    pub(crate) fn stretch(&self, chunk: &BlobDigest) -> Option<ChunkRange> {
        self.lock().stretches.get(chunk).copied()
    }

    /// Takes note of what a blob of ours consists of.
    pub(crate) fn add(&self, blob: BlobDigest, chunks: &[BlobDigest]) {
        let mut state = self.lock();
        let (mut first, mut records) = (0, Vec::new());
        for chunk in chunks {
            let stretch = ChunkRange { blob, first };
            first += chunk.n_bytes;
            if state.stretches.len() >= MAX_STRETCHES && !state.stretches.contains_key(chunk) {
                break;
            }
            // The blob that came last will be here longest.
            let before = state.stretches.insert(*chunk, stretch);
            if before.is_some_and(|before| before.blob == blob) {
                continue;
            }
            let mut record = [0; RECORD];
            record[..32].copy_from_slice(chunk.hash.as_bytes());
            record[32..40].copy_from_slice(&chunk.n_bytes.to_le_bytes());
            record[40..72].copy_from_slice(blob.hash.as_bytes());
            record[72..80].copy_from_slice(&blob.n_bytes.to_le_bytes());
            record[80..].copy_from_slice(&stretch.first.to_le_bytes());
            records.push(record);
        }
        if !records.is_empty() {
            state.records.add(&records);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        let read = || Mutex::new(self.path.as_deref().map(Self::read).unwrap_or_default());
        self.state.get_or_init(read).lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stretches_outlive_the_process_and_the_last_blob_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("chunks");
        let [a, b, c] = [&b"a"[..], b"bb", b"ccc"].map(BlobDigest::of);
        let [first, second] = [&b"abb"[..], b"cccbb"].map(BlobDigest::of);
        let chunks = Chunks::open(Some(&path));
        chunks.add(first, &[a, b]);
        chunks.add(second, &[c, b]);
        let n_bytes = std::fs::metadata(&path).unwrap().len();
        chunks.add(second, &[c, b]);
        assert_eq!(std::fs::metadata(&path).unwrap().len(), n_bytes);
        for chunks in [chunks, Chunks::open(Some(&path))] {
            assert_eq!(chunks.stretch(&a), Some(ChunkRange { blob: first, first: 0 }));
            assert_eq!(chunks.stretch(&b), Some(ChunkRange { blob: second, first: 3 }));
            assert_eq!(chunks.stretch(&c), Some(ChunkRange { blob: second, first: 0 }));
            assert_eq!(chunks.stretch(&first), None);
        }
    }
}
