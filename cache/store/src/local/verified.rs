//! Remembers verified blobs, so that a blob is hashed once and not once per build.
//!
//! An entry states: the file with this stamp has bytes with this hash, on the disk. Entries are appended to one log
//! that all processes share; each is a [`crate::record`]. Those of a group are written by a single call, so that
//! appends of different processes do not interleave, and a torn or damaged entry is skipped. A lost entry costs one
//! hashing of the blob. An entry is valid only while the file has exactly this stamp, and none is made for a stamp that
//! a later write might leave unchanged (see [`crate::stamp`]).

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use mc_digest::digest::Digest;
use mc_files::folder::Folder;
use mc_files::path_error::PathError;

use crate::error::StoreError;
use crate::publish::{MAX_NOTE, create_parent};
use crate::record::{Kind, Reader, Writer, seal, unseal_first};
use crate::session::LazySession;
use crate::stamp::FileStamp;

const KIND: Kind = *b"vrf1";

/// A log with more obsolete entries than this, and than valid ones, is rewritten when it is read.
const DEAD_ENTRIES: usize = 1024;

/// Permissions of the log, before the process's umask: everyone who may write to the store appends to it.
const LOG_MODE: u32 = 0o666;

/// The stamps of verified blobs.
#[derive(Debug)]
pub struct VerifiedMemo {
    stamps: RwLock<BTreeMap<Digest, FileStamp>>,
    base: Arc<Folder>,
    log_path: PathBuf,
    log: Mutex<Option<File>>,
}

impl VerifiedMemo {
    /// Reads the log at `log_path` below `base`; skips damaged entries.
    ///
    /// # Errors
    /// Fails if the path is not a regular file, or cannot be read.
    pub fn open(base: &Arc<Folder>, log_path: &Path, session: &LazySession) -> Result<Self, StoreError> {
        let (log, is_too_long) = match base.read(log_path, MAX_NOTE) {
            Ok(log) => (log, false),
            Err(error) if error.kind() == io::ErrorKind::NotFound => (Vec::new(), false),
            Err(error) if matches!(PathError::of(&error), Some(PathError::TooLarge { .. })) => {
                (Vec::new(), true)
            }
            Err(source) => return Err(StoreError::io("read", &base.at(log_path), source)),
        };
        let (stamps, n_entries) = decode_log(&log);
        if is_too_long || n_entries > 2 * stamps.len() + DEAD_ENTRIES {
            // Entries that other processes append to the old file before the rename are lost, and their blobs hashed
            // again. If the rewrite fails (a full disk), the long log remains valid.
            drop(rewrite(session, base, log_path, &stamps));
        }
        let (base, log_path) = (Arc::clone(base), log_path.to_owned());
        Ok(Self { stamps: RwLock::new(stamps), base, log_path, log: Mutex::default() })
    }

    /// Returns true if the file with this stamp is known to hold bytes with this hash.
    pub fn trusts(&self, hash: &Digest, stamp: &FileStamp) -> bool {
        self.stamps.read().unwrap_or_else(PoisonError::into_inner).get(hash) == Some(stamp)
    }

    /// Records in memory that the file with this stamp holds bytes with this hash. The caller has made sure that a
    /// later write changes the stamp. [`Self::note`] makes the entry known to other processes.
    pub fn believe(&self, hash: Digest, stamp: FileStamp) {
        self.stamps.write().unwrap_or_else(PoisonError::into_inner).insert(hash, stamp);
    }

    /// Appends entries to the log for other processes. The caller has synced the files: after a power loss, an entry
    /// about a file with lost bytes would be trusted.
    pub fn note(&self, files: &[(Digest, FileStamp)]) {
        let is_assumed = |(hash, stamp): &&(Digest, FileStamp)| self.trusts(hash, stamp);
        let entries: Vec<u8> =
            files.iter().filter(is_assumed).flat_map(|(hash, stamp)| encode(hash, stamp)).collect();
        if !entries.is_empty() {
            // On a full or read-only disk the next process only has to hash again.
            drop(self.append(&entries));
        }
    }

    /// Returns true if the log can be written.
    pub fn is_writable(&self) -> bool {
        self.append(&[]).is_ok()
    }

    /// Removes the entry of a damaged blob, also for later processes.
    pub fn forget(&self, hash: &Digest) {
        let known = self.stamps.write().unwrap_or_else(PoisonError::into_inner).remove(hash);
        if known.is_some() {
            drop(self.append(&encode(hash, &NO_FILE)));
        }
    }

    fn append(&self, entry: &[u8]) -> Result<(), StoreError> {
        let failed = |source| StoreError::io("append to", &self.base.at(&self.log_path), source);
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        if log.is_none() {
            create_parent(&self.base, &self.log_path)?;
            *log = Some(self.base.append(&self.log_path, LOG_MODE).map_err(failed)?);
        }
        match log.as_mut() {
            Some(file) => file.write_all(entry).map_err(failed),
            None => Ok(()),
        }
    }
}

/// A stamp that no file has: an entry with it cancels the earlier ones.
const NO_FILE: FileStamp = FileStamp { device: 0, inode: 0, n_bytes: 0, modified_ns: 0, changed_ns: 0 };

fn encode(hash: &Digest, stamp: &FileStamp) -> Vec<u8> {
    let mut writer = Writer::default();
    writer.bytes(hash.as_bytes());
    stamp.encode(&mut writer);
    seal(KIND, &writer.into_bytes())
}

fn decode(body: &[u8]) -> Option<(Digest, FileStamp)> {
    let mut reader = Reader::new(body);
    let entry = (Digest::from_bytes(reader.array()?), FileStamp::decode(&mut reader)?);
    reader.end()?;
    Some(entry)
}

/// The last entry of each blob, and the total number of entries.
fn decode_log(mut log: &[u8]) -> (BTreeMap<Digest, FileStamp>, usize) {
    let (mut stamps, mut n_entries) = (BTreeMap::new(), 0);
    while !log.is_empty() {
        match unseal_first(KIND, log).map(|(body, rest)| (decode(body), rest)) {
            Some((entry, rest)) => {
                stamps.extend(entry);
                n_entries += 1;
                log = rest;
            }
            // A damaged entry: search for the next one.
            None => {
                n_entries += 1;
                log = next_entry(&log[1..]);
            }
        }
    }
    (stamps, n_entries)
}

fn next_entry(log: &[u8]) -> &[u8] {
    log.windows(KIND.len()).position(|window| window == KIND).map_or(&[], |start| &log[start..])
}

fn rewrite(
    session: &LazySession,
    base: &Folder,
    path: &Path,
    stamps: &BTreeMap<Digest, FileStamp>,
) -> Result<(), StoreError> {
    let failed = |source| StoreError::io("write", &base.at(path), source);
    let log: Vec<u8> = stamps.iter().flat_map(|(hash, stamp)| encode(hash, stamp)).collect();
    let mut unfinished = session.get()?.file_with(LOG_MODE)?;
    unfinished.file.write_all(&log).map_err(failed)?;
    unfinished.rename(base, path).map(drop).map_err(failed)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use proptest::prelude::*;

    use super::*;

    fn stamp(inode: u64) -> FileStamp {
        FileStamp { device: 1, inode, n_bytes: 10, modified_ns: 5, changed_ns: 6 }
    }

    fn hash(number: u64) -> Digest {
        Digest::of(&number.to_le_bytes())
    }

    fn remember(memo: &VerifiedMemo, hash: Digest, stamp: FileStamp) {
        memo.believe(hash, stamp);
        memo.note(&[(hash, stamp)]);
    }

    fn open(dir: &Path) -> Result<VerifiedMemo, StoreError> {
        let base = Arc::new(Folder::open(dir).unwrap());
        let session = LazySession::new(Arc::clone(&base), Path::new("tmp"));
        VerifiedMemo::open(&base, Path::new("memo/verified.log"), &session)
    }

    #[test]
    fn entries_are_kept_for_the_next_process() {
        let dir = tempfile::tempdir().unwrap();
        let one = open(dir.path()).unwrap();
        let two = open(dir.path()).unwrap();
        remember(&one, hash(1), stamp(1));
        remember(&two, hash(2), stamp(2));
        remember(&one, hash(1), stamp(3));
        let three = open(dir.path()).unwrap();
        assert!(three.trusts(&hash(1), &stamp(3)));
        assert!(!three.trusts(&hash(1), &stamp(1)));
        assert!(three.trusts(&hash(2), &stamp(2)));
        assert!(!three.trusts(&hash(3), &stamp(2)));
    }

    #[test]
    fn a_truncated_or_damaged_log_loses_only_the_damaged_entries() {
        let entries: Vec<Vec<u8>> = (0..5).map(|i| encode(&hash(i), &stamp(i))).collect();
        let mut log = entries.concat();
        let len = entries[0].len();
        log[len + 50] ^= 1;
        log.truncate(log.len() - 1);
        let (stamps, _) = decode_log(&log);
        let survivors: Vec<u64> = (0..5).filter(|i| stamps.get(&hash(*i)) == Some(&stamp(*i))).collect();
        assert_eq!(survivors, [0, 2, 3]);
        assert_eq!(stamps.len(), 3);
    }

    #[test]
    fn an_entry_torn_by_a_crash_does_not_hide_the_next() {
        let torn = [&encode(&hash(1), &stamp(1))[..37], &encode(&hash(2), &stamp(2))].concat();
        assert_eq!(decode_log(&torn).0, BTreeMap::from([(hash(2), stamp(2))]));
    }

    #[test]
    fn a_log_of_obsolete_entries_is_rewritten() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("memo/verified.log");
        fs::create_dir(dir.path().join("memo")).unwrap();
        let log: Vec<u8> = (0..5000).flat_map(|i| encode(&hash(i % 3), &stamp(i))).collect();
        fs::write(&path, &log).unwrap();
        let memo = open(dir.path()).unwrap();
        assert_eq!(fs::read(&path).unwrap().len(), 3 * encode(&hash(0), &stamp(0)).len());
        remember(&memo, hash(7), stamp(7));
        let next = open(dir.path()).unwrap();
        assert!(next.trusts(&hash(4999 % 3), &stamp(4999)));
        assert!(next.trusts(&hash(7), &stamp(7)));
    }

    #[test]
    fn entries_are_not_logged_before_a_sync_or_after_removal() {
        let dir = tempfile::tempdir().unwrap();
        let memo = open(dir.path()).unwrap();
        memo.believe(hash(1), stamp(1));
        memo.believe(hash(2), stamp(2));
        assert!(memo.trusts(&hash(1), &stamp(1)));
        assert!(!open(dir.path()).unwrap().trusts(&hash(1), &stamp(1)));
        memo.forget(&hash(2));
        memo.note(&[(hash(1), stamp(1)), (hash(2), stamp(2))]);
        let next = open(dir.path()).unwrap();
        assert!(next.trusts(&hash(1), &stamp(1)) && !next.trusts(&hash(2), &stamp(2)));
    }

    #[test]
    fn removed_entries_stay_removed_for_the_next_process() {
        let dir = tempfile::tempdir().unwrap();
        let memo = open(dir.path()).unwrap();
        remember(&memo, hash(1), stamp(1));
        memo.forget(&hash(1));
        memo.forget(&hash(2));
        assert!(!memo.trusts(&hash(1), &stamp(1)));
        let next = open(dir.path()).unwrap();
        assert!(!next.trusts(&hash(1), &stamp(1)));
        remember(&next, hash(1), stamp(3));
        assert!(open(dir.path()).unwrap().trusts(&hash(1), &stamp(3)));
    }

    #[test]
    fn a_log_that_is_a_link_or_endless_is_rejected() {
        for target in ["/dev/zero", "../../thesis", "nowhere"] {
            let dir = tempfile::tempdir().unwrap();
            let store = dir.path().join("store");
            fs::create_dir_all(store.join("memo")).unwrap();
            fs::write(dir.path().join("thesis"), "years of work").unwrap();
            symlink(target, store.join("memo/verified.log")).unwrap();
            let error = open(&store).unwrap_err().to_string();
            assert!(error.contains(&format!("verified.log` is a symbolic link to `{target}`")), "{error}");
            assert_eq!(fs::read(dir.path().join("thesis")).unwrap(), b"years of work");
            assert!(!store.join("memo/nowhere").exists());
        }
    }

    #[test]
    fn a_log_that_is_too_long_is_restarted() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("memo/verified.log");
        fs::create_dir(dir.path().join("memo")).unwrap();
        File::create(&path).unwrap().set_len(4 << 40).unwrap();
        remember(&open(dir.path()).unwrap(), hash(1), stamp(1));
        assert!(open(dir.path()).unwrap().trusts(&hash(1), &stamp(1)));
        assert!(fs::metadata(&path).unwrap().len() < 1000);
    }

    proptest! {
        #[test]
        fn foreign_bytes_yield_no_entries(log: Vec<u8>) {
            prop_assert!(decode_log(&log).0.is_empty());
        }
    }
}
