//! Blobs as files, each under the hash of its bytes.
//!
//! A blob is written to the session's folder and hashed on the way, then made read-only and renamed into place. It is
//! synced later, together with others (`durable`).
//!
//! A blob that is not in the memo of verified blobs is hashed before it is returned. If its bytes do not match, it is
//! moved to the quarantine, reported ([`LocalStore::take_corruptions`]) and counts as missing.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use mc_digest::digest::{BlobDigest, Digest};
use mc_digest::hasher::HashingWriter;
use mc_files::status::{Kind, Status};

use crate::error::StoreError;
use crate::local::corruption::{Corruption, Damage};
use crate::local::store::LocalStore;
use crate::local::sync_group::{Content, Written};
use crate::mapping::MappedFile;
use crate::publish::{READ_ONLY, create_parent, is_in_place_of};
use crate::reading::hash_range;
use crate::session::{Unfinished, UnfinishedFile};
use crate::stamp::{FileStamp, settled_time};
use crate::traits::{BlobStore, BlobWriter};

/// Limit on attempts to put a blob in its place. Obstacles are set aside before each retry, so this many failures mean
/// that another process keeps creating them.
const MAX_ATTEMPTS: usize = 16;

impl BlobStore for LocalStore {
    fn contains(&self, digest: &BlobDigest) -> Result<bool, StoreError> {
        self.note_use(&digest.hash);
        let path = self.layout.blob(&digest.hash);
        let folder = self.layout.folder();
        match self.or_recovered(&digest.hash, || folder.status_of(&path)) {
            Ok(status) if status.kind == Kind::File && self.is_known(digest, &FileStamp::from(status)) => {
                Ok(true)
            }
            Ok(_) => Ok(self.open_intact(digest)?.is_some()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(source) => Err(StoreError::io("examine", &self.layout.at(&path), source)),
        }
    }

    fn open(&self, digest: &BlobDigest) -> Result<Option<MappedFile>, StoreError> {
        self.open_intact(digest)?.map(|(file, path)| MappedFile::of(&file, &path)).transpose()
    }

    fn writer(&self) -> Result<Box<dyn BlobWriter + '_>, StoreError> {
        let UnfinishedFile { file, name } = self.session.get()?.file()?;
        let file = HashingWriter::new(BufWriter::with_capacity(64 * 1024, file));
        Ok(Box::new(LocalBlobWriter { store: self, file, name, failed: false }))
    }

    fn room(&self) -> Result<Option<u64>, StoreError> {
        let folder = self.layout.folder();
        folder.room().map(Some).map_err(|source| StoreError::io("examine", folder.path(), source))
    }

    fn sync(&self) -> Result<(), StoreError> {
        self.sync_group()
    }

    fn doubt(&self, digest: &BlobDigest) -> Result<(), StoreError> {
        self.verified.forget(&digest.hash);
        // A blob that the memo does not contain is hashed, and set aside if it is corrupt.
        self.open_intact(digest).map(drop)
    }
}

impl LocalStore {
    /// Opens the file of an intact blob and returns it with its absolute path, for callers that clone files instead of
    /// reading them.
    ///
    /// # Errors
    /// Fails if the file cannot be read.
    pub(crate) fn open_intact(&self, digest: &BlobDigest) -> Result<Option<(File, PathBuf)>, StoreError> {
        self.note_use(&digest.hash);
        let path = self.layout.blob(&digest.hash);
        let absolute = self.layout.at(&path);
        let Some(file) = self.open_blob(&digest.hash, &path)? else { return Ok(None) };
        let stamp = stamp_of(&file, &absolute)?;
        // Either the file is damaged, or the digest is wrong. The file, which may be very large, is not read to
        // distinguish the two: the process that stores the blob will know.
        if stamp.n_bytes != digest.n_bytes {
            return Ok(None);
        }
        let is_intact =
            self.is_known(digest, &stamp) || self.check(&digest.hash, &file, &path)? == Some(*digest);
        Ok(is_intact.then_some((file, absolute)))
    }

    /// Opens the file of a blob. Anything else in its place, such as a link, counts as damage and is moved to the
    /// quarantine.
    pub(crate) fn open_blob(&self, hash: &Digest, path: &Path) -> Result<Option<File>, StoreError> {
        let folder = self.layout.folder();
        match self.or_recovered(hash, || folder.open_file(path)) {
            Ok(file) => Ok(Some(file)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) if is_in_place_of(folder, path, &error) => {
                match folder.status_of(path) {
                    // It may have been replaced meanwhile.
                    Ok(status) if status.kind != Kind::File => {
                        self.quarantine(hash, Damage::Kind(status.kind), &status, path)?;
                    }
                    _ => {}
                }
                Ok(None)
            }
            Err(source) => Err(StoreError::io("open", &self.layout.at(path), source)),
        }
    }

    /// Hashes a blob's file. Returns the digest if the blob is intact; otherwise moves the file to the quarantine.
    ///
    /// # Errors
    /// Fails if the file cannot be read or moved.
    pub(crate) fn check(
        &self,
        hash: &Digest,
        file: &File,
        path: &Path,
    ) -> Result<Option<BlobDigest>, StoreError> {
        let absolute = self.layout.at(path);
        settle(file);
        let started = SystemTime::now();
        let status = |file: &File| {
            let metadata = file.metadata().map_err(|source| StoreError::io("examine", &absolute, source))?;
            Ok::<_, StoreError>(Status::of(&metadata))
        };
        let before = status(file)?;
        let found = match hash_range(file, 0, before.n_bytes) {
            Ok(found) => found,
            // The disk failed to read, or the file system found a wrong checksum.
            Err(error) if error.raw_os_error() == Some(EIO) => {
                self.quarantine(hash, Damage::Unreadable, &before, path)?;
                return Ok(None);
            }
            Err(source) => return Err(StoreError::io("read", &absolute, source)),
        };
        let after = status(file)?;
        let stamp = FileStamp::from(after);
        let is_still = FileStamp::from(before) == stamp && found.n_bytes == before.n_bytes;
        if found.hash != *hash || !is_still {
            self.quarantine(hash, Damage::Bytes(found), &after, path)?;
            return Ok(None);
        }
        if (stamp.is_settled() || stamp.is_quiet_at(started)) && !self.verified.trusts(hash, &stamp) {
            self.verified.believe(*hash, stamp);
            let file = file.try_clone().map_err(|source| StoreError::io("open", &absolute, source))?;
            let (path, n_bytes) = (path.to_owned(), stamp.n_bytes);
            self.sync_later(Written { file, path, n_bytes, content: Content::Found(*hash, stamp) })?;
        }
        Ok(Some(found))
    }

    fn is_known(&self, digest: &BlobDigest, stamp: &FileStamp) -> bool {
        stamp.n_bytes == digest.n_bytes && self.verified.trusts(&digest.hash, stamp)
    }

    /// Sets aside a file that has a blob's name but not its bytes. In a read-only store it stays, and counts as
    /// missing.
    fn quarantine(
        &self,
        hash: &Digest,
        damage: Damage,
        status: &Status,
        path: &Path,
    ) -> Result<(), StoreError> {
        self.verified.forget(hash);
        let folder = self.layout.folder();
        // Another process may have replaced it by an intact file after this process opened it.
        if !folder.status_of(path).is_ok_and(|named| named.is_same_file(status)) {
            return Ok(());
        }
        let name = format!("{hash}-{}-{}", status.inode, status.changed_ns);
        let aside = self.layout.quarantine().join(name);
        let moved = create_parent(folder, &aside).and_then(|()| {
            let moved = folder.rename(path, folder, &aside);
            moved.map_err(|source| StoreError::io("move to the quarantine", &self.layout.at(path), source))
        });
        let quarantined = match moved {
            Ok(()) => Some(self.layout.at(&aside)),
            Err(error) if error.is_missing() => return Ok(()),
            Err(error) if error.is_read_only() => None,
            Err(error) => return Err(error),
        };
        self.report(Corruption::Blob { expected: *hash, damage, quarantined });
        Ok(())
    }

    /// Moves a finished file to its digest, unless an intact file is already there.
    fn install(&self, digest: &BlobDigest, mut unfinished: UnfinishedFile<'_>) -> Result<(), StoreError> {
        let path = self.layout.blob(&digest.hash);
        let absolute = self.layout.at(&path);
        let failed = |source| StoreError::io_needing("write", &absolute, digest.n_bytes, source);
        unfinished.file.set_permissions(fs::Permissions::from_mode(READ_ONLY)).map_err(failed)?;
        settle(&unfinished.file);
        create_parent(self.layout.folder(), &path)?;
        self.note_use(&digest.hash);
        for _ in 0..MAX_ATTEMPTS {
            unfinished = match unfinished.rename_new(self.layout.folder(), &path) {
                Ok(file) => {
                    // The stamp is taken after the rename, which changes it, and from the open file rather than by
                    // name.
                    let stamp = stamp_of(&file, &absolute)?;
                    if stamp.is_settled() && stamp.n_bytes == digest.n_bytes {
                        self.verified.believe(digest.hash, stamp);
                    }
                    let content = Content::Blob(digest.hash, stamp);
                    return self.sync_later(Written { file, path, n_bytes: digest.n_bytes, content });
                }
                Err((unfinished, error)) if error.kind() == io::ErrorKind::AlreadyExists => unfinished,
                Err((_, error)) => return Err(failed(error)),
            };
            // The existing file is intact, or the check moves it to the quarantine.
            if self.open_intact(digest)?.is_some() {
                return Ok(());
            }
            match self.layout.folder().status_of(&path) {
                Ok(status) if status.kind == Kind::File && status.n_bytes != digest.n_bytes => {
                    self.quarantine(&digest.hash, Damage::Size(status.n_bytes), &status, &path)?;
                }
                _ => {}
            }
        }
        Err(failed(io::Error::other("another file keeps replacing it")))
    }
}

/// The error number for an input/output error.
const EIO: i32 = 5;

struct LocalBlobWriter<'a> {
    store: &'a LocalStore,
    file: HashingWriter<BufWriter<File>>,
    name: Unfinished<'a>,
    failed: bool,
}

impl LocalBlobWriter<'_> {
    fn checked<T>(&mut self, needed: u64, result: io::Result<T>) -> io::Result<T> {
        result.map_err(|error| {
            self.failed |= error.kind() != io::ErrorKind::Interrupted;
            io::Error::from(self.error(needed, error))
        })
    }

    fn error(&self, needed: u64, error: io::Error) -> StoreError {
        let needed = self.file.digest().n_bytes + needed;
        StoreError::io_needing("write", &self.name.path(), needed, error)
    }
}

impl Write for LocalBlobWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let result = self.file.write(bytes);
        self.checked(bytes.len() as u64, result)
    }

    fn flush(&mut self) -> io::Result<()> {
        let result = self.file.flush();
        self.checked(0, result)
    }
}

impl BlobWriter for LocalBlobWriter<'_> {
    fn finish(mut self: Box<Self>) -> Result<BlobDigest, StoreError> {
        // After a failed write the content of the file is unknown.
        if self.failed {
            let error = io::Error::other("an earlier write to it failed");
            return Err(StoreError::io("finish", &self.name.path(), error));
        }
        if let Err(error) = self.file.flush() {
            return Err(self.error(0, error));
        }
        let Self { store, file, name, .. } = *self;
        let (buffer, digest) = file.into_parts();
        if store.contains(&digest)? {
            return Ok(digest);
        }
        let file = buffer.into_inner().map_err(|error| {
            StoreError::io_needing("write", &name.path(), digest.n_bytes, error.into_error())
        })?;
        store.install(&digest, UnfinishedFile { file, name })?;
        Ok(digest)
    }
}

fn stamp_of(file: &File, path: &Path) -> Result<FileStamp, StoreError> {
    file.metadata()
        .map(|metadata| FileStamp::of(&metadata))
        .map_err(|source| StoreError::io("examine", path, source))
}

/// Gives a blob's file the one modification time that no later write can produce. This happens only when needed,
/// because it changes the stamp that other processes remember. A file of another user keeps its time and is trusted
/// only if it is old.
fn settle(file: &File) {
    let is_settled = file.metadata().is_ok_and(|metadata| FileStamp::of(&metadata).is_settled());
    if !is_settled {
        drop(file.set_modified(settled_time()));
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::process::Command;

    use mc_digest::digest::ActionDigest;

    use super::*;
    use crate::traits::ActionCache;

    fn store(dir: &Path) -> LocalStore {
        LocalStore::open(&dir.join("store")).unwrap()
    }

    /// Creates something at a path.
    type Make = fn(&Path);

    /// Everything that may be in the place of a file, each created at a path.
    const IN_THE_WAY: [(&str, Make); 7] = [
        ("a link to nowhere", |path| symlink("nowhere", path).unwrap()),
        ("a link to a device", |path| symlink("/dev/zero", path).unwrap()),
        ("a link to a file", |path| symlink("../../../thesis", path).unwrap()),
        ("a pipe", |path| assert!(Command::new("mkfifo").arg(path).status().unwrap().success())),
        ("a file without end", |path| File::create(path).unwrap().set_len(4 << 40).unwrap()),
        ("an empty folder", |path| fs::create_dir(path).unwrap()),
        ("a folder with files", |path| {
            fs::create_dir(path).unwrap();
            fs::write(path.join("file"), "").unwrap();
        }),
    ];

    #[test]
    fn anything_in_place_of_a_blob_is_set_aside_and_the_blob_is_stored() {
        for (what, make) in IN_THE_WAY {
            let dir = tempfile::tempdir().unwrap();
            fs::write(dir.path().join("thesis"), "years of work").unwrap();
            let store = store(dir.path());
            let digest = BlobDigest::of(b"bytes");
            let path = store.layout.at(&store.layout.blob(&digest.hash));
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            make(&path);
            assert!(!store.contains(&digest).unwrap(), "{what}");
            assert!(store.open(&digest).unwrap().is_none(), "{what}");
            assert_eq!(store.put_bytes(b"bytes").unwrap(), digest, "{what}");
            assert_eq!(&store.open(&digest).unwrap().unwrap()[..], b"bytes", "{what}");
            let corruptions = store.take_corruptions();
            assert_eq!(corruptions.len(), 1, "{what}: {corruptions:?}");
            assert!(corruptions.iter().all(|corruption| corruption.is_blob(&digest)));
            assert_eq!(fs::read_to_string(dir.path().join("thesis")).unwrap(), "years of work");
            assert!(!path.with_file_name("nowhere").exists());
        }
    }

    #[test]
    fn anything_in_place_of_a_result_is_removed_and_the_result_is_recorded() {
        for (what, make) in IN_THE_WAY {
            let dir = tempfile::tempdir().unwrap();
            fs::write(dir.path().join("thesis"), "years of work").unwrap();
            let store = store(dir.path());
            let action = ActionDigest::of(b"action");
            let path = store.layout.at(&store.layout.action(&action.hash));
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            make(&path);
            assert_eq!(store.get(&action).unwrap(), None, "{what}");
            store.put(&action, b"result", None).unwrap();
            assert_eq!(
                store.get(&action).unwrap().map(|recorded| recorded.result),
                Some(b"result".to_vec()),
                "{what}"
            );
            assert_eq!(store.take_corruptions().len(), 1, "{what}");
            assert_eq!(fs::read_to_string(dir.path().join("thesis")).unwrap(), "years of work");
        }
    }

    #[test]
    fn a_link_in_place_of_a_store_folder_is_an_error_that_names_it() {
        for link in ["cas", "ac", "tmp", "memo", "quarantine"] {
            let dir = tempfile::tempdir().unwrap();
            fs::create_dir(dir.path().join("home")).unwrap();
            fs::write(dir.path().join("home/thesis"), "years of work").unwrap();
            let store = store(dir.path());
            symlink("../home", dir.path().join("store").join(link)).unwrap();
            let attempts = || -> Result<(), StoreError> {
                // The memo of verified blobs is read when a store is opened.
                let store = LocalStore::open(store.root())?;
                store.put(&ActionDigest::of(b"action"), b"result", None)?;
                let digest = store.put_bytes(b"bytes")?;
                let blob = store.layout.at(&store.layout.blob(&digest.hash));
                fs::remove_file(&blob).unwrap();
                fs::write(&blob, "wrong").unwrap();
                store.contains(&digest).map(drop)
            };
            let reported = match attempts() {
                Err(error) => error.to_string(),
                Ok(()) => panic!("`{link}` was followed"),
            };
            assert!(
                reported.contains(&format!("store/{link}` is a symbolic link to `../home`")),
                "{reported}"
            );
            assert_eq!(fs::read_dir(dir.path().join("home")).unwrap().count(), 1);
        }
    }

    #[test]
    fn a_recurring_obstacle_in_place_of_a_blob_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let store = store(dir.path());
        let digest = BlobDigest::of(b"bytes");
        let path = store.layout.at(&store.layout.blob(&digest.hash));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let is_done = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !is_done.load(std::sync::atomic::Ordering::Relaxed) {
                    drop(symlink("nowhere", &path));
                }
            });
            // The call either stores the blob or fails, but never loops forever.
            drop(store.put_bytes(b"bytes"));
            is_done.store(true, std::sync::atomic::Ordering::Relaxed);
        });
    }

    #[test]
    fn a_doubted_blob_is_hashed_again_and_set_aside_if_corrupt() {
        let dir = tempfile::tempdir().unwrap();
        let store = store(dir.path());
        let (good, bad) = (store.put_bytes(b"good").unwrap(), store.put_bytes(b"bad").unwrap());
        let path = store.layout.at(&store.layout.blob(&bad.hash));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        fs::write(&path, b"rot").unwrap();
        store.verified.believe(bad.hash, FileStamp::of(&fs::metadata(&path).unwrap()));
        assert!(store.contains(&bad).unwrap(), "the stamp is believed");
        store.doubt(&good).unwrap();
        store.doubt(&bad).unwrap();
        assert!(store.contains(&good).unwrap() && !store.contains(&bad).unwrap());
        assert_eq!(store.take_corruptions().len(), 1);
    }
}
