//! A file of records of one length that only grows: notes that several processes keep beside the store.
//!
//! Each record ends with a checksum of its own. What was cut off or damaged is dropped; that, like a file that cannot be
//! read or written, costs time and nothing else.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::path::Path;

use mc_digest::digest::BlobDigest;

/// Bytes of BLAKE3 behind each record.
const CHECK: usize = 8;

/// A file to which records of `N` bytes are added.
#[derive(Debug, Default)]
pub(crate) struct Records<const N: usize> {
    file: Option<File>,
}

impl<const N: usize> Records<N> {
    /// Opens a file, and gives `take` each record that is in it.
    pub(crate) fn open(path: &Path, mut take: impl FnMut(&[u8; N])) -> Self {
        let mut bytes = Vec::new();
        let opened = OpenOptions::new().read(true).append(true).create(true).open(path);
        let Ok(mut file) = opened else { return Self::default() };
        if file.read_to_end(&mut bytes).is_err() {
            return Self::default();
        }
        for stored in bytes.chunks_exact(N + CHECK) {
            let record = stored.first_chunk().expect("its check stands behind it");
            if check(record) == stored[N..] {
                take(record);
            }
        }
        // A process that was killed may have left half a record, behind which no other could be read.
        let whole = (bytes.len() - bytes.len() % (N + CHECK)) as u64;
        let is_whole = whole == bytes.len() as u64 || file.set_len(whole).is_ok();
        Self { file: is_whole.then_some(file) }
    }

    /// Adds records; nothing more is, after some could not be.
    pub(crate) fn add(&mut self, records: &[[u8; N]]) {
        let bytes: Vec<u8> =
            records.iter().flat_map(|record| record.iter().copied().chain(check(record))).collect();
        // One write: two processes that add at once do not mix theirs.
        if self.file.as_mut().is_some_and(|file| file.write_all(&bytes).is_err()) {
            self.file = None;
        }
    }
}

fn check(record: &[u8]) -> [u8; CHECK] {
    *BlobDigest::of(record).hash.as_bytes().first_chunk().expect("a hash is longer")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(path: &Path) -> Vec<[u8; 3]> {
        let mut read = Vec::new();
        Records::<3>::open(path, |record| read.push(*record));
        read
    }

    #[test]
    fn records_outlive_the_process_and_half_a_record_or_a_damaged_one_is_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("records");
        Records::<3>::open(&path, |_| unreachable!()).add(&[*b"one", *b"two"]);
        assert_eq!(read(&path), [*b"one", *b"two"]);
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, [&whole[..], b"thr"].concat()).unwrap();
        assert_eq!(read(&path), [*b"one", *b"two"]);
        Records::<3>::open(&path, |_| {}).add(&[*b"six"]);
        assert_eq!(read(&path), [*b"one", *b"two", *b"six"]);
        let mut damaged = std::fs::read(&path).unwrap();
        damaged[3 + CHECK] ^= 1;
        std::fs::write(&path, &damaged).unwrap();
        assert_eq!(read(&path), [*b"one", *b"six"]);
    }

    #[test]
    fn a_file_that_cannot_be_written_costs_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        Records::<3>::open(folder.path(), |_| unreachable!()).add(&[*b"one"]);
    }
}
