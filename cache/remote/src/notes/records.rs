//! A file of records of one length that only grows: notes that several processes keep beside the store.
//!
//! Each record ends with a checksum of its own. What was cut off or damaged is dropped; that, like a file that cannot be
//! read or written, costs time and nothing else.

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;

use mc_digest::digest::BlobDigest;
use mc_files::folder::Folder;

/// Bytes of BLAKE3 behind each record.
const CHECK: usize = 8;

/// A file to which records of `N` bytes are added.
#[derive(Debug, Default)]
pub(crate) struct Records<const N: usize> {
    file: Option<File>,
}

impl<const N: usize> Records<N> {
    /// Opens a file, and gives `take` each record that is in it. A link, or anything but a file, in its place is left
    /// alone, and nothing is kept.
    ///
    /// * `max`: a file with more records is begun anew
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
        // A process that was killed may have left half a record, behind which no other could be read.
        let whole = (bytes.len() - bytes.len() % (N + CHECK)) as u64;
        let n_bytes = file.metadata().map_or(0, |metadata| metadata.len());
        // Others may have added some meanwhile.
        let is_whole = (n_bytes <= limit && n_bytes % (N + CHECK) as u64 == 0) || file.set_len(whole).is_ok();
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
    fn records_outlive_the_process_and_half_a_record_or_a_damaged_one_is_dropped() {
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
    fn a_file_with_too_many_records_is_begun_anew_however_long_it_is() {
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
