//! Remembers which blobs were checked, so that a blob is hashed once and not once per build.
//!
//! An entry says: the file with this stamp had bytes with this hash. Entries are appended to one log that all
//! processes share; each is a [`crate::record`] written by a single call, so that appends of different
//! processes do not mix, and a torn or damaged entry is skipped. A lost entry costs one hashing of the blob;
//! no entry is believed unless the file still has the very stamp, and no entry is made for a stamp that a
//! later write might leave unchanged (see [`crate::stamp`]).

use crate::error::StoreError;
use crate::publish::{create_parent, publish};
use crate::record::{Kind, Reader, Writer, seal, unseal_first};
use crate::session::Session;
use crate::stamp::FileStamp;
use mc_digest::digest::Digest;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError, RwLock};

const KIND: Kind = *b"vrf1";

/// A log with more dead entries than this, and than live ones, is rewritten when it is read.
const DEAD_ENTRIES: usize = 1024;

/// The stamps of checked blobs.
#[derive(Debug)]
pub struct VerifiedMemo {
    stamps: RwLock<BTreeMap<Digest, FileStamp>>,
    log_path: PathBuf,
    log: Mutex<Option<File>>,
}

impl VerifiedMemo {
    /// Reads the log; what cannot be read is not remembered.
    pub fn open(log_path: PathBuf, session: &Session) -> Self {
        let (stamps, n_entries) = decode_log(&fs::read(&log_path).unwrap_or_default());
        if n_entries > 2 * stamps.len() + DEAD_ENTRIES {
            // What others append to the old file between the reading and the renaming is lost: they re-hash.
            // Failing (a full disk) leaves the long log, which is as good.
            drop(rewrite(session, &log_path, &stamps));
        }
        Self { stamps: RwLock::new(stamps), log_path, log: Mutex::default() }
    }

    /// Whether the file with this stamp is known to hold bytes with this hash.
    pub fn trusts(&self, hash: &Digest, stamp: &FileStamp) -> bool {
        self.stamps.read().unwrap_or_else(PoisonError::into_inner).get(hash) == Some(stamp)
    }

    /// Remembers that the file with this stamp holds bytes with this hash. The caller has made sure that a
    /// later write changes the stamp.
    pub fn remember(&self, hash: Digest, stamp: FileStamp) {
        self.stamps.write().unwrap_or_else(PoisonError::into_inner).insert(hash, stamp);
        // A full disk or a read-only folder costs the next process a hashing, nothing else.
        drop(self.append(&encode(&hash, &stamp)));
    }

    fn append(&self, entry: &[u8]) -> Result<(), StoreError> {
        let failed = |source| StoreError::io("append to", &self.log_path, source);
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        if log.is_none() {
            create_parent(&self.log_path)?;
            *log = Some(File::options().append(true).create(true).open(&self.log_path).map_err(failed)?);
        }
        match log.as_mut() {
            Some(file) => file.write_all(entry).map_err(failed),
            None => Ok(()),
        }
    }
}

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

/// The last entry of each blob, and how many entries there were.
fn decode_log(mut log: &[u8]) -> (BTreeMap<Digest, FileStamp>, usize) {
    let (mut stamps, mut n_entries) = (BTreeMap::new(), 0);
    while !log.is_empty() {
        match unseal_first(KIND, log).map(|(body, rest)| (decode(body), rest)) {
            Some((entry, rest)) => {
                stamps.extend(entry);
                n_entries += 1;
                log = rest;
            }
            // Damage: look for the next entry.
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

fn rewrite(session: &Session, path: &Path, stamps: &BTreeMap<Digest, FileStamp>) -> Result<(), StoreError> {
    let log: Vec<u8> = stamps.iter().flat_map(|(hash, stamp)| encode(hash, stamp)).collect();
    publish(session, path, &log)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o644))
        .map_err(|source| StoreError::io("unlock", path, source))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn stamp(inode: u64) -> FileStamp {
        FileStamp { device: 1, inode, n_bytes: 10, modified_ns: 5, changed_ns: 6 }
    }

    fn hash(number: u64) -> Digest {
        Digest::of(&number.to_le_bytes())
    }

    #[test]
    fn what_one_process_remembers_the_next_one_knows() {
        let dir = tempfile::tempdir().unwrap();
        let session = Session::start(&dir.path().join("tmp")).unwrap();
        let path = dir.path().join("memo/verified.log");
        let one = VerifiedMemo::open(path.clone(), &session);
        let two = VerifiedMemo::open(path.clone(), &session);
        one.remember(hash(1), stamp(1));
        two.remember(hash(2), stamp(2));
        one.remember(hash(1), stamp(3));
        let three = VerifiedMemo::open(path, &session);
        assert!(three.trusts(&hash(1), &stamp(3)));
        assert!(!three.trusts(&hash(1), &stamp(1)));
        assert!(three.trusts(&hash(2), &stamp(2)));
        assert!(!three.trusts(&hash(3), &stamp(2)));
    }

    #[test]
    fn a_cut_or_damaged_log_loses_only_the_damaged_entries() {
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
    fn a_log_of_dead_entries_is_rewritten() {
        let dir = tempfile::tempdir().unwrap();
        let session = Session::start(&dir.path().join("tmp")).unwrap();
        let path = dir.path().join("verified.log");
        let log: Vec<u8> = (0..5000).flat_map(|i| encode(&hash(i % 3), &stamp(i))).collect();
        fs::write(&path, &log).unwrap();
        let memo = VerifiedMemo::open(path.clone(), &session);
        assert_eq!(fs::read(&path).unwrap().len(), 3 * encode(&hash(0), &stamp(0)).len());
        memo.remember(hash(7), stamp(7));
        let next = VerifiedMemo::open(path, &session);
        assert!(next.trusts(&hash(4999 % 3), &stamp(4999)));
        assert!(next.trusts(&hash(7), &stamp(7)));
    }

    proptest! {
        #[test]
        fn foreign_bytes_are_no_entries(log: Vec<u8>) {
            prop_assert!(decode_log(&log).0.is_empty());
        }
    }
}
