//! Syncs blobs and results in groups, and defines what is trusted after a power loss.
//!
//! A blob is renamed into place as soon as it is written, so this process and others on the machine can use it at once:
//! they read the same page cache. It is not durable then. The file system may have written the new name to the disk but
//! not the bytes, so after a power loss the file may be empty, short, or full of zeros under its full digest.
//!
//! One rule of ordering prevents trust in such a file: *the memo of verified blobs ([`super::verified`]) records a file
//! after the file is synced, never before.* Therefore:
//!
//! - If the memo has the file's stamp, the file's bytes were on the disk before the entry was written. A blob's file is
//!   never written again, so they still are.
//! - Otherwise the blob is hashed before it is returned. A torn one is moved to the quarantine and counts as missing;
//!   an intact one is recorded under the same rule.
//! - A result is a record with a checksum; a torn one is a miss. A whole one may name blobs that are torn or gone, and
//!   is a hit only if each of them is present and verified. So results need no ordering among themselves or relative to
//!   their blobs.
//! - A process that finds a blob missing from the memo may be reading bytes that another process has just written, and
//!   that exist only in the page cache. It therefore also syncs the file before it records it.
//! - No ordering of names is assumed. A lost name is a miss, and so is one that reappears.
//!
//! A killed process loses nothing: its unsynced bytes are in the page cache, and the next process hashes them once.
//!
//! A group is synced when it is full, when an action ends and the last sync was a while ago, at the end of a build, and
//! when the store is closed. Files written shortly after a sync wait for the next of these events, or for the system,
//! which writes everything after some 30 seconds.

use std::io;
use std::path::Path;
use std::sync::MutexGuard;

use mc_digest::digest::Digest;

use crate::error::StoreError;
use crate::local::store::LocalStore;
use crate::local::sync_group::{Content, Due, Written};
use crate::stamp::FileStamp;

impl LocalStore {
    /// Adds a file in its final place to the group, and syncs the group if it is full.
    ///
    /// # Errors
    /// Same as [`Self::sync_group`].
    pub(crate) fn sync_later(&self, written: Written) -> Result<(), StoreError> {
        match self.group.add(written) {
            Due::Later => Ok(()),
            Due::Soon => self.group.free_turn().map_or(Ok(()), |turn| self.sync_in(turn)),
            Due::Now => {
                let turn = self.group.turn();
                // Another thread may have synced it while this one waited.
                if self.group.is_full() { self.sync_in(turn) } else { Ok(()) }
            }
        }
    }

    /// Syncs everything written so far.
    ///
    /// # Errors
    /// The first failure. A blob that cannot be synced is removed and counts as missing.
    pub(crate) fn sync_group(&self) -> Result<(), StoreError> {
        self.sync_in(self.group.turn())
    }

    fn sync_in(&self, _turn: MutexGuard<'_, ()>) -> Result<(), StoreError> {
        let mut group = self.group.take();
        let is_found = |written: &Written| matches!(written.content, Content::Found(..));
        if group.iter().any(is_found) && !self.verified.is_writable() {
            // Found blobs are synced only so that they can be recorded.
            group.retain(|written| !is_found(written));
        }
        if group.is_empty() {
            return Ok(());
        }
        let files: Vec<_> = group.iter().map(|written| &written.file).collect();
        let results = self.layout.folder().sync(&files);
        let (mut durable, mut failure) = (Vec::new(), None);
        for (written, result) in group.into_iter().zip(results) {
            match (result, written.content) {
                (Ok(()), Content::Blob(hash, stamp) | Content::Found(hash, stamp)) => {
                    durable.push((hash, stamp));
                }
                (Ok(()), Content::Result) => {}
                (Err(_), Content::Found(hash, _)) => self.verified.forget(&hash),
                (Err(error), _) => drop(failure.get_or_insert(self.not_durable(&written, error))),
            }
        }
        self.verified.note(&durable);
        self.group.synced();
        failure.map_or(Ok(()), Err)
    }

    /// Removes a file that cannot be synced: its readable content may differ from the content on the disk.
    fn not_durable(&self, written: &Written, error: io::Error) -> StoreError {
        if let Content::Blob(hash, stamp) = written.content {
            self.remove_blob(&hash, &stamp, &written.path);
        }
        StoreError::io_needing("write", &self.layout.at(&written.path), written.n_bytes, error)
    }

    fn remove_blob(&self, hash: &Digest, stamp: &FileStamp, path: &Path) {
        self.verified.forget(hash);
        let folder = self.layout.folder();
        if folder.status_of(path).is_ok_and(|named| FileStamp::from(named) == *stamp) {
            // If this fails, the file is hashed before it is trusted.
            drop(folder.remove_file(path));
        }
    }
}

impl Drop for LocalStore {
    fn drop(&mut self) {
        // Errors are ignored on drop: the files concerned are not recorded, and so not trusted.
        drop(self.sync_group());
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::fd::OwnedFd;

    use mc_digest::digest::{ActionDigest, BlobDigest};

    use super::*;
    use crate::traits::{ActionCache, BlobStore};

    fn store(dir: &Path) -> LocalStore {
        LocalStore::open(&dir.join("store")).unwrap()
    }

    /// Returns true if a process that starts now would trust a blob without hashing it.
    fn is_noted(dir: &Path, digest: &BlobDigest) -> bool {
        let store = store(dir);
        let status = store.layout.folder().status_of(&store.layout.blob(&digest.hash)).unwrap();
        store.verified.trusts(&digest.hash, &FileStamp::from(status))
    }

    #[test]
    fn a_blob_is_usable_at_once_and_recorded_when_durable() {
        let dir = tempfile::tempdir().unwrap();
        let store = store(dir.path());
        let digest = store.put_bytes(b"bytes").unwrap();
        assert_eq!(&store.open(&digest).unwrap().unwrap()[..], b"bytes");
        assert!(!is_noted(dir.path(), &digest));
        store.sync().unwrap();
        assert!(is_noted(dir.path(), &digest));
    }

    #[test]
    fn blobs_of_a_killed_process_are_hashed_and_recorded_by_the_next() {
        let dir = tempfile::tempdir().unwrap();
        let killed = store(dir.path());
        let digest = killed.put_bytes(b"bytes").unwrap();
        let action = ActionDigest::of(b"action");
        killed.put(&action, b"result", None).unwrap();
        std::mem::forget(killed);
        let next = store(dir.path());
        assert!(next.contains(&digest).unwrap() && next.get(&action).unwrap().is_some());
        assert!(!is_noted(dir.path(), &digest));
        drop(next);
        assert!(is_noted(dir.path(), &digest));
    }

    #[test]
    fn a_full_group_is_synced_automatically() {
        let dir = tempfile::tempdir().unwrap();
        let store = store(dir.path());
        let digests: Vec<BlobDigest> =
            (0..200_u32).map(|number| store.put_bytes(&number.to_le_bytes()).unwrap()).collect();
        let n_noted = digests.iter().filter(|digest| is_noted(dir.path(), digest)).count();
        assert!((128..200).contains(&n_noted), "{n_noted}");
    }

    /// A file that cannot be synced.
    fn pipe() -> File {
        File::from(OwnedFd::from(io::pipe().unwrap().0))
    }

    #[test]
    fn a_blob_that_cannot_be_synced_is_an_error_and_missing() {
        let dir = tempfile::tempdir().unwrap();
        let store = store(dir.path());
        let (bad, good) = (store.put_bytes(b"bad").unwrap(), store.put_bytes(b"good").unwrap());
        for mut written in store.group.take() {
            if written.n_bytes == 3 {
                written.file = pipe();
            }
            store.group.add(written);
        }
        let error = store.sync().unwrap_err().to_string();
        assert!(error.starts_with("Could not write `") && error.contains(&bad.hash.to_string()), "{error}");
        assert!(!store.contains(&bad).unwrap() && store.contains(&good).unwrap());
        store.sync().unwrap();
        store.put_bytes(b"bad").unwrap();
        store.sync().unwrap();
        assert!(is_noted(dir.path(), &bad) && is_noted(dir.path(), &good));
    }

    #[test]
    fn a_found_blob_that_cannot_be_synced_is_not_recorded() {
        let dir = tempfile::tempdir().unwrap();
        let killed = store(dir.path());
        let digest = killed.put_bytes(b"bytes").unwrap();
        std::mem::forget(killed);
        let store = store(dir.path());
        assert!(store.contains(&digest).unwrap());
        for written in store.group.take() {
            store.group.add(Written { file: pipe(), ..written });
        }
        store.sync().unwrap();
        assert!(!is_noted(dir.path(), &digest));
        assert!(store.contains(&digest).unwrap(), "it is hashed again");
    }
}
