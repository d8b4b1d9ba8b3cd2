//! The two interfaces of every cache: blobs by the digest of their bytes, action results by the digest of the action.
//!
//! Implementations: [`crate::local::store::LocalStore`] and [`crate::memory::MemoryStore`].

use crate::attester::{Attester, Attesters};
use crate::error::StoreError;
use crate::mapping::MappedFile;
use mc_digest::digest::{ActionDigest, BlobDigest};
use std::io::{self, Write};

/// Stores blobs. A blob is returned only if its bytes match its digest; a damaged one counts as missing.
pub trait BlobStore: Send + Sync {
    /// Returns true if the store has the blob and it is intact.
    ///
    /// # Errors
    /// Fails if the storage cannot be read. A damaged blob is not an error, but counts as missing.
    fn contains(&self, digest: &BlobDigest) -> Result<bool, StoreError>;

    /// The blob's bytes, verified before they are returned; `None` if the blob is missing or damaged.
    ///
    /// # Errors
    /// Fails if the storage cannot be read.
    fn open(&self, digest: &BlobDigest) -> Result<Option<MappedFile>, StoreError>;

    /// Verifies a blob again, ignoring earlier verifications, because a reader found its bytes wrong. If they are, the
    /// blob is set aside, so that it is missing from now on and can be made again. Stores whose bytes cannot change do
    /// nothing.
    ///
    /// # Errors
    /// Fails if the storage cannot be read.
    fn doubt(&self, digest: &BlobDigest) -> Result<(), StoreError> {
        let _ = digest;
        Ok(())
    }

    /// Starts a blob whose digest is computed while it is written. A writer that is dropped leaves nothing.
    ///
    /// # Errors
    /// Fails if the storage cannot be written.
    fn writer(&self) -> Result<Box<dyn BlobWriter + '_>, StoreError>;

    /// Free space in bytes; `None` if unknown.
    ///
    /// # Errors
    /// Fails if the storage cannot be queried.
    fn room(&self) -> Result<Option<u64>, StoreError> {
        Ok(None)
    }

    /// Syncs everything stored so far: blobs, and results if the same store holds them. A store also does so by itself
    /// once enough has accumulated.
    ///
    /// # Errors
    /// Fails if the storage cannot be written. Anything that could not be synced is missing from then on.
    fn sync(&self) -> Result<(), StoreError> {
        Ok(())
    }

    /// Stores these bytes.
    ///
    /// # Errors
    /// Fails if the storage cannot be written, for example because the disk is full.
    fn put_bytes(&self, bytes: &[u8]) -> Result<BlobDigest, StoreError> {
        let mut writer = self.writer()?;
        // `finish` returns the writer's own error, with the path; it is the same error.
        match writer.write_all(bytes) {
            Ok(()) => writer.finish(),
            Err(error) => Err(StoreError::from_writer(error)
                .unwrap_or_else(|source| StoreError::io("write", std::path::Path::new("blob"), source))),
        }
    }
}

/// A blob that is written and hashed at the same time. It is not in the store before [`Self::finish`].
///
/// Errors of the `Write` implementation hold a [`StoreError`]; see [`StoreError::from_writer`].
pub trait BlobWriter: Write {
    /// Makes the blob visible, and returns its digest. It is synced later, together with others ([`BlobStore::sync`]).
    ///
    /// # Errors
    /// Fails if an earlier write failed, or the storage cannot be written. The store is then unchanged.
    fn finish(self: Box<Self>) -> Result<BlobDigest, StoreError>;
}

/// A recorded result.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recorded {
    /// The result, as opaque bytes.
    pub result: Vec<u8>,
    /// Its attesters.
    pub attesters: Attesters,
}

impl Recorded {
    /// Combines a result with the previous record: an equal result keeps its attesters, and another result replaces the
    /// earlier one with all its attesters.
    pub fn after(before: Option<Self>, result: &[u8], attester: Option<Attester>) -> Self {
        let before = before.filter(|before| before.result == result);
        let mut recorded = before.unwrap_or_else(|| Self { result: result.to_vec(), ..Self::default() });
        recorded.attesters.extend(attester);
        recorded
    }
}

/// Stores the result of each action, as opaque bytes, with its attesters.
pub trait ActionCache: Send + Sync {
    /// The result recorded for the action; `None` if there is none or it is damaged.
    ///
    /// # Errors
    /// Fails if the storage cannot be read.
    fn get(&self, digest: &ActionDigest) -> Result<Option<Recorded>, StoreError>;

    /// Records the action's result, combined with an earlier one by [`Recorded::after`].
    ///
    /// * `attester`: an attester of the result, if it has one
    ///
    /// # Errors
    /// Fails if the storage cannot be written.
    fn put(&self, digest: &ActionDigest, result: &[u8], attester: Option<Attester>)
    -> Result<(), StoreError>;

    /// Removes the action's result, which is unusable.
    ///
    /// # Errors
    /// Fails if the storage cannot be written.
    fn forget(&self, digest: &ActionDigest) -> Result<(), StoreError>;
}

/// Stores all bytes of a reader.
///
/// # Errors
/// Fails if the reader fails (as `Io` about `blob`), or the storage cannot be written.
pub fn put_reader(store: &dyn BlobStore, reader: &mut dyn io::Read) -> Result<BlobDigest, StoreError> {
    let mut writer = store.writer()?;
    match io::copy(reader, &mut writer) {
        Ok(_) => writer.finish(),
        Err(error) => Err(StoreError::from_writer(error)
            .unwrap_or_else(|source| StoreError::io("read", std::path::Path::new("blob"), source))),
    }
}

#[cfg(test)]
mod tests {
    use mc_digest::digest::Digest;

    use super::*;

    #[test]
    fn an_equal_result_keeps_its_attesters_and_another_does_not() {
        let key = |name: &[u8]| Attester::Key(Digest::of(name));
        let fetched = Recorded::after(None, b"result", None);
        assert!(fetched.attesters.is_empty());
        let signed = Recorded::after(Some(fetched), b"result", Some(key(b"a")));
        let made = Recorded::after(Some(signed), b"result", Some(Attester::Here));
        // An unsigned fetch of the same result removes no attester, and a second key adds one.
        let again = Recorded::after(Some(made), b"result", None);
        let both = Recorded::after(Some(again), b"result", Some(key(b"b")));
        assert_eq!(both.attesters, Attesters::from([Attester::Here, key(b"a"), key(b"b")]));
        let other = Recorded::after(Some(both), b"other", Some(key(b"b")));
        assert_eq!((&*other.result, other.attesters), (&b"other"[..], Attesters::from([key(b"b")])));
    }
}
