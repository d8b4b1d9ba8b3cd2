//! Locations of chunks in local blobs, from chunk lists that a server once sent.
//!
//! Kept next to the store. The blob may be gone, and anything joined from chunks is verified as a whole.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use mc_digest::digest::{BlobDigest, Digest};

use crate::notes::records::Records;

/// Bytes per record: hash and size of the chunk, hash and size of the blob, and the chunk's offset in it.
const RECORD: usize = 88;

/// Limit on the records, which cover several hundred megabytes.
const MAX_STRETCHES: usize = 1 << 19;

/// A range of a local blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ChunkRange {
    pub(crate) blob: BlobDigest,
    pub(crate) first: u64,
}

/// Chunks, by server digest.
#[derive(Debug)]
pub struct Chunks {
    path: Option<PathBuf>,
    /// Read on first use.
    state: OnceLock<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    stretches: HashMap<BlobDigest, ChunkRange>,
    records: Records<RECORD>,
}

impl Chunks {
    /// Opens the records in a file; without a path they last for this process.
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

    /// The location of a chunk, which may be outdated.
    pub(crate) fn stretch(&self, chunk: &BlobDigest) -> Option<ChunkRange> {
        self.lock().stretches.get(chunk).copied()
    }

    /// Records the chunks of a local blob.
    pub(crate) fn add(&self, blob: BlobDigest, chunks: &[BlobDigest]) {
        let mut state = self.lock();
        let (mut first, mut records) = (0, Vec::new());
        for chunk in chunks {
            let stretch = ChunkRange { blob, first };
            first += chunk.n_bytes;
            if state.stretches.len() >= MAX_STRETCHES && !state.stretches.contains_key(chunk) {
                break;
            }
            // The most recent blob will stay longest.
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
    fn chunk_locations_outlive_the_process_and_name_the_last_blob() {
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
