//! An append-only file of fixed-size records, shared by several processes and kept next to the store.
//!
//! Each record ends with its own checksum. Truncated or damaged records are dropped. This, or a file that cannot be
//! read or written, costs only time.

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;

use mc_digest::digest::BlobDigest;
use mc_files::folder::Folder;

/// Bytes of a BLAKE3 digest after each record.
const CHECK: usize = 8;

/// A file of records of `N` bytes.
#[derive(Debug, Default)]
pub(crate) struct Records<const N: usize> {
    file: Option<File>,
}

impl<const N: usize> Records<N> {
    /// Opens a file and passes each of its records to `take`. If the path is a link or not a regular file, it is left
    /// alone and nothing is stored.
    ///
    /// * `max`: a file with more records is truncated to zero
    pub(crate) fn open(path: &Path, max: usize, mut take: impl FnMut(&[u8; N])) -> Self {
        let Some(file) = open(path) else { return Self::default() };
        let limit = max.saturating_mul(N + CHECK) as u64;
        let mut bytes = Vec::new();
        let is_read = (&file).take(limit + 1).read_to_end(&mut bytes).is_ok();
        if !is_read {
            return Self::default();
        }
        if bytes.len() as u64 > limit {
            bytes.clear();
        }
        for stored in bytes.chunks_exact(N + CHECK) {
            let record = stored.first_chunk().expect("its check stands behind it");
            if check(record) == stored[N..] {
                take(record);
            }
        }
        // A killed process may have left a partial record, which would misalign all later ones.
        let whole = (bytes.len() - bytes.len() % (N + CHECK)) as u64;
        let n_bytes = file.metadata().map_or(0, |metadata| metadata.len());
        // Other processes may have added records meanwhile.
        let is_whole = (n_bytes <= limit && n_bytes % (N + CHECK) as u64 == 0) || file.set_len(whole).is_ok();
        Self { file: is_whole.then_some(file) }
    }

    /// Appends records. After a failed write, nothing more is written.
    pub(crate) fn add(&mut self, records: &[[u8; N]]) {
        let bytes: Vec<u8> =
            records.iter().flat_map(|record| record.iter().copied().chain(check(record))).collect();
        // A single write, so that records of two processes do not interleave.
        if self.file.as_mut().is_some_and(|file| file.write_all(&bytes).is_err()) {
            self.file = None;
        }
    }
}

fn open(path: &Path) -> Option<File> {
    let folder = Folder::open(path.parent()?).ok()?;
    folder.append(Path::new(path.file_name()?), 0o666).ok()
}

fn check(record: &[u8]) -> [u8; CHECK] {
    *BlobDigest::of(record).hash.as_bytes().first_chunk().expect("a hash is longer")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(path: &Path) -> Vec<[u8; 3]> {
        let mut read = Vec::new();
        Records::<3>::open(path, 10, |record| read.push(*record));
        read
    }

    #[test]
    fn records_outlive_the_process_and_partial_or_damaged_ones_are_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("records");
        Records::<3>::open(&path, 10, |_| unreachable!()).add(&[*b"one", *b"two"]);
        assert_eq!(read(&path), [*b"one", *b"two"]);
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, [&whole[..], b"thr"].concat()).unwrap();
        assert_eq!(read(&path), [*b"one", *b"two"]);
        Records::<3>::open(&path, 10, |_| {}).add(&[*b"six"]);
        assert_eq!(read(&path), [*b"one", *b"two", *b"six"]);
        let mut damaged = std::fs::read(&path).unwrap();
        damaged[3 + CHECK] ^= 1;
        std::fs::write(&path, &damaged).unwrap();
        assert_eq!(read(&path), [*b"one", *b"six"]);
    }

    #[test]
    fn a_file_with_too_many_records_is_truncated() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("records");
        Records::<3>::open(&path, 10, |_| {}).add(&[*b"one"; 10]);
        assert_eq!(read(&path).len(), 10);
        Records::<3>::open(&path, 10, |_| {}).add(&[*b"two"]);
        assert_eq!(read(&path), Vec::<[u8; 3]>::new());
        Records::<3>::open(&path, 10, |_| {}).add(&[*b"six"]);
        assert_eq!(read(&path), [*b"six"]);
        File::options().write(true).open(&path).unwrap().set_len(4 << 40).unwrap();
        assert_eq!(read(&path), Vec::<[u8; 3]>::new());
        assert_eq!(std::fs::metadata(&path).unwrap().len(), 0);
    }

    #[test]
    fn a_link_or_a_pipe_in_its_place_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let (path, outside) = (folder.path().join("records"), folder.path().join("outside"));
        std::fs::write(&outside, "years of work").unwrap();
        for target in [outside.as_path(), Path::new("/dev/zero"), &folder.path().join("new")] {
            std::os::unix::fs::symlink(target, &path).unwrap();
            Records::<3>::open(&path, 10, |_| unreachable!()).add(&[*b"one"]);
            std::fs::remove_file(&path).unwrap();
        }
        let made = std::process::Command::new("mkfifo").arg(&path).status().unwrap();
        assert!(made.success());
        Records::<3>::open(&path, 10, |_| unreachable!()).add(&[*b"one"]);
        assert_eq!(std::fs::read_to_string(&outside).unwrap(), "years of work");
        assert!(!folder.path().join("new").exists());
    }

    #[test]
    fn a_file_that_cannot_be_written_costs_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        Records::<3>::open(folder.path(), 10, |_| unreachable!()).add(&[*b"one"]);
    }
}
