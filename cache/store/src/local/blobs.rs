//! Blobs as files, each under the hash of its bytes.
//!
//! A blob is written to the session's folder, hashed on the way, synced, made read-only and renamed into
//! place. It is synced before the rename, because after a crash of the machine a short blob under its full
//! digest would otherwise be found, and hashed again to no avail.
//!
//! A blob that the memo of checked blobs does not vouch for is hashed before it is given out. If its bytes do
//! not match, it goes to the quarantine, is reported ([`LocalStore::take_corruptions`]) and counts as missing.

use crate::error::StoreError;
use crate::local::corruption::Corruption;
use crate::local::store::LocalStore;
use crate::mapping::MappedFile;
use crate::publish::{READ_ONLY, create_parent};
use crate::reading::hash_range;
use crate::stamp::{FileStamp, settled_time};
use crate::traits::{BlobStore, BlobWriter};
use mc_digest::digest::{BlobDigest, Digest};
use mc_digest::hasher::HashingWriter;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;
use tempfile::TempPath;

impl BlobStore for LocalStore {
    fn contains(&self, digest: &BlobDigest) -> Result<bool, StoreError> {
        let path = self.layout.blob(&digest.hash);
        match fs::metadata(&path) {
            Ok(metadata) if self.is_known(digest, &FileStamp::of(&metadata)) => Ok(true),
            Ok(_) => Ok(self.open_intact(digest)?.is_some()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(source) => Err(StoreError::io("examine", &path, source)),
        }
    }

    fn open(&self, digest: &BlobDigest) -> Result<Option<MappedFile>, StoreError> {
        self.open_intact(digest)?.map(|(file, path)| MappedFile::of(&file, &path)).transpose()
    }

    fn writer(&self) -> Result<Box<dyn BlobWriter + '_>, StoreError> {
        let (file, temp_path) = self.session.file()?.into_parts();
        let file = HashingWriter::new(BufWriter::with_capacity(64 * 1024, file));
        Ok(Box::new(LocalBlobWriter { store: self, file, temp_path, failed: false }))
    }
}

impl LocalStore {
    /// The file of a blob that is here and intact, for those who clone files rather than read them.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub(crate) fn open_intact(&self, digest: &BlobDigest) -> Result<Option<(File, PathBuf)>, StoreError> {
        let path = self.layout.blob(&digest.hash);
        let file = match File::open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other.map_err(|source| StoreError::io("open", &path, source))?,
        };
        let stamp = stamp_of(&file, &path)?;
        if self.is_known(digest, &stamp) {
            return Ok(Some((file, path)));
        }
        let found = self.check(&digest.hash, &file, &path)?;
        // A hash with another size than its bytes' is a wrong digest, not a damaged blob.
        Ok((found == Some(*digest)).then_some((file, path)))
    }

    /// Hashes a blob's file. The digest if it is intact; otherwise the file goes to the quarantine.
    ///
    /// # Errors
    /// If the file cannot be read or moved.
    pub(crate) fn check(
        &self,
        hash: &Digest,
        file: &File,
        path: &Path,
    ) -> Result<Option<BlobDigest>, StoreError> {
        settle(file);
        let started = SystemTime::now();
        let before = stamp_of(file, path)?;
        let found =
            hash_range(file, 0, before.n_bytes).map_err(|source| StoreError::io("read", path, source))?;
        let after = stamp_of(file, path)?;
        let is_still = before == after && found.n_bytes == before.n_bytes;
        if found.hash != *hash || !is_still {
            self.quarantine(hash, found, &after, path)?;
            return Ok(None);
        }
        if after.is_settled() || after.is_quiet_at(started) {
            self.verified.remember(*hash, after);
        }
        Ok(Some(found))
    }

    fn is_known(&self, digest: &BlobDigest, stamp: &FileStamp) -> bool {
        stamp.n_bytes == digest.n_bytes && self.verified.trusts(&digest.hash, stamp)
    }

    fn quarantine(
        &self,
        hash: &Digest,
        found: BlobDigest,
        stamp: &FileStamp,
        path: &Path,
    ) -> Result<(), StoreError> {
        // Another process may have put an intact file in its place since we opened this one.
        match fs::metadata(path) {
            Ok(named) if (named.dev(), named.ino()) == (stamp.device, stamp.inode) => {}
            _ => return Ok(()),
        }
        let quarantined =
            self.layout.quarantine().join(format!("{hash}-{}-{}", stamp.inode, stamp.changed_ns));
        create_parent(&quarantined)?;
        match fs::rename(path, &quarantined) {
            Ok(()) => self.report(Corruption::Blob { expected: *hash, found, quarantined }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(source) => return Err(StoreError::io("move to the quarantine", path, source)),
        }
        Ok(())
    }

    /// Puts a finished file under its digest, unless an intact one is already there.
    fn install(&self, digest: &BlobDigest, file: File, mut temp_path: TempPath) -> Result<(), StoreError> {
        let path = self.layout.blob(&digest.hash);
        let failed = |source| StoreError::io_needing("write", &path, digest.n_bytes, source);
        file.set_permissions(fs::Permissions::from_mode(READ_ONLY)).map_err(failed)?;
        settle(&file);
        file.sync_all().map_err(failed)?;
        create_parent(&path)?;
        // What is in the way is intact, or goes to the quarantine when it is looked at; then try again.
        loop {
            match temp_path.persist_noclobber(&path) {
                Ok(()) => break,
                Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => temp_path = error.path,
                Err(error) => return Err(failed(error.error)),
            }
            if self.open_intact(digest)?.is_some() {
                return Ok(());
            }
        }
        // The stamp is taken after the rename, which changes it, and from our own file, not from the name.
        let stamp = stamp_of(&file, &path)?;
        if stamp.is_settled() && stamp.n_bytes == digest.n_bytes {
            self.verified.remember(digest.hash, stamp);
        }
        Ok(())
    }
}

struct LocalBlobWriter<'a> {
    store: &'a LocalStore,
    file: HashingWriter<BufWriter<File>>,
    temp_path: TempPath,
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
        StoreError::io_needing("write", &self.temp_path, needed, error)
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
        // After a failed write it is unknown which bytes are in the file.
        if self.failed {
            let error = io::Error::other("an earlier write to it failed");
            return Err(StoreError::io("finish", &self.temp_path, error));
        }
        if let Err(error) = self.file.flush() {
            return Err(self.error(0, error));
        }
        let Self { store, file, temp_path, .. } = *self;
        let (buffer, digest) = file.into_parts();
        if store.contains(&digest)? {
            return Ok(digest);
        }
        let file = buffer.into_inner().map_err(|error| {
            StoreError::io_needing("write", &temp_path, digest.n_bytes, error.into_error())
        })?;
        store.install(&digest, file, temp_path)?;
        Ok(digest)
    }
}

fn stamp_of(file: &File, path: &Path) -> Result<FileStamp, StoreError> {
    file.metadata()
        .map(|metadata| FileStamp::of(&metadata))
        .map_err(|source| StoreError::io("examine", path, source))
}

/// Gives a blob's file the one modification time that no later write can produce. Done only when needed,
/// because it changes the stamp that other processes remember. A file that is not ours keeps its time and is
/// trusted only when it is old.
fn settle(file: &File) {
    let is_settled = file.metadata().is_ok_and(|metadata| FileStamp::of(&metadata).is_settled());
    if !is_settled {
        drop(file.set_modified(settled_time()));
    }
}
