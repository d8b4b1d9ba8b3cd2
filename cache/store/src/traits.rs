//! The two faces that every cache shows: blobs by the digest of their bytes, action results by the digest of
//! the action.
//!
//! Implementations: [`crate::local::store::LocalStore`] and [`crate::memory::MemoryStore`].

use crate::error::StoreError;
use crate::mapping::MappedFile;
use mc_digest::digest::{ActionDigest, BlobDigest};
use std::io::{self, Write};

/// Holds blobs. A blob is only ever given out when its bytes match its digest; a damaged one is missing.
pub trait BlobStore: Send + Sync {
    /// Whether the blob is here and intact.
    ///
    /// # Errors
    /// If the storage cannot be read. A damaged blob is no error: it is not here.
    fn contains(&self, digest: &BlobDigest) -> Result<bool, StoreError>;

    /// The blob's bytes, checked before they are given out; `None` if it is not here or damaged.
    ///
    /// # Errors
    /// If the storage cannot be read.
    fn open(&self, digest: &BlobDigest) -> Result<Option<MappedFile>, StoreError>;

    /// Checks a blob once more, whatever was believed about it: a reader found its bytes wrong. If they are, the blob
    /// is set aside, so that it is missing from now on and can be made anew. Stores whose bytes cannot change do
    /// nothing.
    ///
    /// # Errors
    /// If the storage cannot be read.
    fn doubt(&self, digest: &BlobDigest) -> Result<(), StoreError> {
        let _ = digest;
        Ok(())
    }

    /// Starts a blob whose digest is known when it is finished. A writer that is dropped leaves nothing.
    ///
    /// # Errors
    /// If the storage cannot be written.
    fn writer(&self) -> Result<Box<dyn BlobWriter + '_>, StoreError>;

    /// Stores these bytes.
    ///
    /// # Errors
    /// If the storage cannot be written, for example because the disk is full.
    fn put_bytes(&self, bytes: &[u8]) -> Result<BlobDigest, StoreError> {
        let mut writer = self.writer()?;
        // The writer repeats its own error in `finish`, with the path; the first one is the same.
        match writer.write_all(bytes) {
            Ok(()) => writer.finish(),
            Err(error) => Err(StoreError::from_writer(error)
                .unwrap_or_else(|source| StoreError::io("write", std::path::Path::new("blob"), source))),
        }
    }
}

/// A blob that is being written and hashed at once. Nothing is in the store before [`Self::finish`].
///
/// Errors of the `Write` face hold a [`StoreError`]; see [`StoreError::from_writer`].
pub trait BlobWriter: Write {
    /// Makes the blob durable and visible, and tells its digest.
    ///
    /// # Errors
    /// If an earlier write failed, or the storage cannot be written. The store is as it was.
    fn finish(self: Box<Self>) -> Result<BlobDigest, StoreError>;
}

/// Remembers the result of each action as opaque bytes.
pub trait ActionCache: Send + Sync {
    /// The result recorded for the action; `None` if there is none or it is damaged.
    ///
    /// # Errors
    /// If the storage cannot be read.
    fn get(&self, digest: &ActionDigest) -> Result<Option<Vec<u8>>, StoreError>;

    /// Records the action's result, replacing an earlier one.
    ///
    /// # Errors
    /// If the storage cannot be written.
    fn put(&self, digest: &ActionDigest, result: &[u8]) -> Result<(), StoreError>;
}

/// Stores everything that a reader gives.
///
/// # Errors
/// If the reader fails (as `Io` about `blob`), or the storage cannot be written.
pub fn put_reader(store: &dyn BlobStore, reader: &mut dyn io::Read) -> Result<BlobDigest, StoreError> {
    let mut writer = store.writer()?;
    match io::copy(reader, &mut writer) {
        Ok(_) => writer.finish(),
        Err(error) => Err(StoreError::from_writer(error)
            .unwrap_or_else(|source| StoreError::io("read", std::path::Path::new("blob"), source))),
    }
}
