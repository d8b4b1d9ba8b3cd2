//! Remembers the digests of input files and of ranges in them, so that a checkpoint is hashed once.
//!
//! A digest is stored under the file's device and inode, and valid while the whole stamp is unchanged: a renamed or
//! moved folder is not hashed again, a touched file is. Files that were modified within the last moments before hashing
//! are not remembered (see [`crate::stamp`]).
//!
//! Each file has one record; losing it costs one hashing.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use mc_digest::digest::{BlobDigest, Digest};
use mc_files::folder::Folder;
use mc_files::regular;

use crate::error::StoreError;
use crate::publish::{publish, read_note};
use crate::reading::hash_range;
use crate::record::{Kind, Reader, Writer, seal, unseal};
use crate::session::LazySession;
use crate::sharded::sharded;
use crate::stamp::FileStamp;

const KIND: Kind = *b"inp1";

/// Encoded size of a range with its digest.
const RANGE_BYTES: usize = 8 + 8 + 32 + 8;

/// Offset and length of a range in bytes.
type Range = (u64, u64);

/// The digests of input files.
#[derive(Debug)]
pub struct InputMemo {
    base: Arc<Folder>,
    path: PathBuf,
    session: Arc<LazySession>,
    notes: Mutex<BTreeMap<(u64, u64), Notes>>,
}

/// Known digests of one file.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Notes {
    stamp: FileStamp,
    digests: BTreeMap<Range, BlobDigest>,
    is_saved: bool,
}

impl InputMemo {
    /// A memo with records in the folder `path` below `base`, read on demand.
    pub fn new(base: Arc<Folder>, path: &Path, session: Arc<LazySession>) -> Self {
        Self { base, path: path.to_owned(), session, notes: Mutex::default() }
    }

    /// The digest of a whole file.
    ///
    /// # Errors
    /// Fails if the file cannot be read, or changes meanwhile.
    pub fn digest_file(&self, path: &Path) -> Result<BlobDigest, StoreError> {
        self.digest(path, None)
    }

    /// The digest of `len` bytes of a file from `offset`.
    ///
    /// # Errors
    /// Fails if the file cannot be read, changes meanwhile, or is shorter than the range.
    pub fn digest_range(&self, path: &Path, offset: u64, len: u64) -> Result<BlobDigest, StoreError> {
        self.digest(path, Some((offset, len)))
    }

    /// Removes the records of a file whose bytes changed without a change of its stamp, for example through a memory
    /// map. The records of a deleted file are never read.
    pub fn forget(&self, path: &Path) {
        let Ok(metadata) = fs::metadata(path) else { return };
        let FileStamp { device, inode, .. } = FileStamp::of(&metadata);
        let mut notes = self.lock();
        notes.remove(&(device, inode));
        // If this fails, the next process detects the mismatch as this one did.
        drop(self.base.remove_file(&self.note(device, inode)));
    }

    /// Writes new digests for the next process. Dropping the memo does this, too.
    pub fn save(&self) {
        let mut notes = self.lock();
        for ((device, inode), notes) in notes.iter_mut().filter(|(_, notes)| !notes.is_saved) {
            // On a full or read-only disk the next process only has to hash again.
            let path = self.note(*device, *inode);
            let saved =
                self.session.get().and_then(|session| publish(session, &self.base, &path, &notes.encode()));
            drop(saved);
            notes.is_saved = true;
        }
    }

    fn digest(&self, path: &Path, range: Option<Range>) -> Result<BlobDigest, StoreError> {
        // Opened only on a miss: a hit costs one `stat`.
        let metadata = fs::metadata(path).map_err(|source| StoreError::io("examine", path, source))?;
        let stamp = FileStamp::of(&metadata);
        let (offset, len) = range.unwrap_or((0, stamp.n_bytes));
        if offset.checked_add(len).is_none_or(|end| end > stamp.n_bytes) {
            let (path, n_bytes) = (path.to_owned(), stamp.n_bytes);
            return Err(StoreError::RangeOutside { path, offset, len, n_bytes });
        }
        if let Some(digest) = self.recall(&stamp, (offset, len)) {
            return Ok(digest);
        }
        let started = SystemTime::now();
        let file = regular::open(path).map_err(|source| StoreError::io("open", path, source))?;
        let digest = hash_range(&file, offset, len).map_err(|source| StoreError::io("read", path, source))?;
        let after = file.metadata().map_err(|source| StoreError::io("examine", path, source))?;
        if FileStamp::of(&after) != stamp || digest.n_bytes != len {
            return Err(StoreError::ChangedWhileRead { path: path.to_owned() });
        }
        if stamp.is_quiet_at(started) {
            self.remember(&stamp, (offset, len), digest);
        }
        Ok(digest)
    }

    fn recall(&self, stamp: &FileStamp, range: Range) -> Option<BlobDigest> {
        let mut all = self.lock();
        let key = (stamp.device, stamp.inode);
        if let std::collections::btree_map::Entry::Vacant(entry) = all.entry(key) {
            let sealed = read_note(&self.base, &self.note(stamp.device, stamp.inode)).ok()??;
            entry.insert(Notes::decode(&sealed)?);
        }
        all.get(&key).filter(|notes| notes.stamp == *stamp)?.digests.get(&range).copied()
    }

    fn remember(&self, stamp: &FileStamp, range: Range, digest: BlobDigest) {
        let mut all = self.lock();
        let fresh = || Notes { stamp: *stamp, digests: BTreeMap::new(), is_saved: false };
        let notes = all.entry((stamp.device, stamp.inode)).or_insert_with(fresh);
        if notes.stamp != *stamp {
            *notes = fresh();
        }
        notes.digests.insert(range, digest);
        notes.is_saved = false;
    }

    fn note(&self, device: u64, inode: u64) -> PathBuf {
        sharded(&self.path, &Digest::of(&[device.to_le_bytes(), inode.to_le_bytes()].concat()))
    }

    // Each change of the map is complete before the lock is released.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<(u64, u64), Notes>> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for InputMemo {
    fn drop(&mut self) {
        self.save();
    }
}

impl Notes {
    fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::default();
        self.stamp.encode(&mut writer);
        writer.u64(self.digests.len() as u64);
        for ((offset, len), digest) in &self.digests {
            writer.u64(*offset).u64(*len).blob_digest(digest);
        }
        seal(KIND, &writer.into_bytes())
    }

    fn decode(sealed: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(unseal(KIND, sealed)?);
        let stamp = FileStamp::decode(&mut reader)?;
        let mut digests = BTreeMap::new();
        for _ in 0..reader.count(RANGE_BYTES)? {
            digests.insert((reader.u64()?, reader.u64()?), reader.blob_digest()?);
        }
        reader.end()?;
        Some(Self { stamp, digests, is_saved: true })
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{File, FileTimes};
    use std::time::Duration;

    use super::*;

    struct Fixture {
        dir: tempfile::TempDir,
    }

    impl Fixture {
        fn new() -> Self {
            Self { dir: tempfile::tempdir().unwrap() }
        }

        fn memo(&self) -> InputMemo {
            let base = Arc::new(Folder::open(self.dir.path()).unwrap());
            let session = LazySession::new(Arc::clone(&base), Path::new("tmp"));
            InputMemo::new(base, Path::new("inputs"), Arc::new(session))
        }

        fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
            let path = self.dir.path().join(name);
            fs::write(&path, bytes).unwrap();
            path
        }
    }

    #[test]
    fn files_and_ranges_have_the_digests_of_their_bytes() {
        let fixture = Fixture::new();
        let path = fixture.write("a", b"0123456789");
        let memo = fixture.memo();
        assert_eq!(memo.digest_file(&path).unwrap(), BlobDigest::of(b"0123456789"));
        assert_eq!(memo.digest_range(&path, 2, 3).unwrap(), BlobDigest::of(b"234"));
        assert_eq!(memo.digest_range(&path, 10, 0).unwrap(), BlobDigest::of(b""));
        let error = memo.digest_range(&path, 8, 3).unwrap_err().to_string();
        assert!(error.starts_with("The range of 3 bytes at 8 is not inside"), "{error}");
        assert!(memo.digest_range(&path, u64::MAX, 2).is_err());
    }

    #[test]
    fn a_file_that_was_just_written_is_hashed_again() {
        let fixture = Fixture::new();
        let path = fixture.write("a", b"one");
        let memo = fixture.memo();
        memo.digest_file(&path).unwrap();
        assert!(memo.lock().is_empty());
        fixture.write("a", b"two");
        assert_eq!(memo.digest_file(&path).unwrap(), BlobDigest::of(b"two"));
    }

    /// The digest of `path` from records that state `believed` for the file's current stamp.
    fn recalled(memo: &InputMemo, path: &Path, believed: &[u8]) -> BlobDigest {
        let stamp = FileStamp::of(&fs::metadata(path).unwrap());
        memo.remember(&stamp, (0, stamp.n_bytes), BlobDigest::of(believed));
        memo.digest_file(path).unwrap()
    }

    #[test]
    fn a_digest_is_valid_until_the_stamp_changes() {
        let fixture = Fixture::new();
        let path = fixture.write("a", b"one");
        let memo = fixture.memo();
        assert_eq!(recalled(&memo, &path, b"told"), BlobDigest::of(b"told"));
        let file = File::options().write(true).open(&path).unwrap();
        file.set_times(FileTimes::new().set_modified(SystemTime::now() + Duration::from_secs(9))).unwrap();
        assert_eq!(memo.digest_file(&path).unwrap(), BlobDigest::of(b"one"));
    }

    #[test]
    fn digests_are_kept_for_the_next_process_even_after_a_rename() {
        let fixture = Fixture::new();
        let path = fixture.write("a", b"one");
        let moved = fixture.dir.path().join("b");
        // A rename changes the change time, so the records are written after it; they are found by inode.
        fs::rename(&path, &moved).unwrap();
        recalled(&fixture.memo(), &moved, b"told");
        assert_eq!(fixture.memo().digest_file(&moved).unwrap(), BlobDigest::of(b"told"));
    }

    #[test]
    fn a_wrong_digest_is_removed_for_the_next_process_too() {
        let fixture = Fixture::new();
        let path = fixture.write("a", b"one");
        let memo = fixture.memo();
        recalled(&memo, &path, b"told");
        memo.save();
        memo.forget(&path);
        assert_eq!(memo.digest_file(&path).unwrap(), BlobDigest::of(b"one"));
        assert_eq!(fixture.memo().digest_file(&path).unwrap(), BlobDigest::of(b"one"));
        memo.forget(&fixture.dir.path().join("gone"));
    }

    #[test]
    fn damaged_records_are_ignored() {
        let fixture = Fixture::new();
        let path = fixture.write("a", b"one");
        recalled(&fixture.memo(), &path, b"told");
        let stamp = FileStamp::of(&fs::metadata(&path).unwrap());
        let notes = fixture.dir.path().join(fixture.memo().note(stamp.device, stamp.inode));
        let mut sealed = fs::read(&notes).unwrap();
        sealed[30] ^= 1;
        fs::remove_file(&notes).unwrap();
        fs::write(&notes, sealed).unwrap();
        assert_eq!(fixture.memo().digest_file(&path).unwrap(), BlobDigest::of(b"one"));
    }
}
