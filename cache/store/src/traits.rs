//! The two faces that every cache shows: blobs by the digest of their bytes, action results by the digest of
//! the action.
//!
//! Implementations: [`crate::local::store::LocalStore`] and [`crate::memory::MemoryStore`].

use crate::attester::{Attester, Attesters};
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

    /// Bytes that there is room for; `None` where that is not known.
    ///
    /// # Errors
    /// If the storage cannot be asked.
    fn room(&self) -> Result<Option<u64>, StoreError> {
        Ok(None)
    }

    /// Makes everything durable that was stored so far: blobs, and results where the same store holds them. A store
    /// does so by itself when there is enough of it.
    ///
    /// # Errors
    /// If the storage cannot be written. What could not be made durable is missing from then on.
    fn sync(&self) -> Result<(), StoreError> {
        Ok(())
    }

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
    /// Makes the blob visible, and tells its digest. It becomes durable with others ([`BlobStore::sync`]).
    ///
    /// # Errors
    /// If an earlier write failed, or the storage cannot be written. The store is as it was.
    fn finish(self: Box<Self>) -> Result<BlobDigest, StoreError>;
}

/// A result as it was recorded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recorded {
    /// The result, as opaque bytes.
    pub result: Vec<u8>,
    /// Everybody who answers for it.
    pub attesters: Attesters,
}

impl Recorded {
    /// A result after what was recorded before it: whoever answered for the same result goes on to do so, and another
    /// result takes the place of the earlier one with all that was noted of it.
    pub fn after(before: Option<Self>, result: &[u8], attester: Option<Attester>) -> Self {
        let before = before.filter(|before| before.result == result);
        let mut recorded = before.unwrap_or_else(|| Self { result: result.to_vec(), ..Self::default() });
        recorded.attesters.extend(attester);
        recorded
    }
}

/// Remembers the result of each action as opaque bytes, and who answers for it.
pub trait ActionCache: Send + Sync {
    /// The result recorded for the action; `None` if there is none or it is damaged.
    ///
    /// # Errors
    /// If the storage cannot be read.
    fn get(&self, digest: &ActionDigest) -> Result<Option<Recorded>, StoreError>;

    /// Records the action's result as [`Recorded::after`] says.
    ///
    /// * `attester`: who answers for it; `None` when nobody does
    ///
    /// # Errors
    /// If the storage cannot be written.
    fn put(&self, digest: &ActionDigest, result: &[u8], attester: Option<Attester>)
    -> Result<(), StoreError>;

    /// Forgets the action's result, which turned out to be of no use.
    ///
    /// # Errors
    /// If the storage cannot be written.
    fn forget(&self, digest: &ActionDigest) -> Result<(), StoreError>;
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

#[cfg(test)]
mod tests {
    use mc_digest::digest::Digest;

    use super::*;

    #[test]
    fn the_same_result_keeps_who_answered_for_it_and_another_does_not() {
        let key = |name: &[u8]| Attester::Key(Digest::of(name));
        let fetched = Recorded::after(None, b"result", None);
        assert!(fetched.attesters.is_empty());
        let signed = Recorded::after(Some(fetched), b"result", Some(key(b"a")));
        let made = Recorded::after(Some(signed), b"result", Some(Attester::Here));
        // Whoever fetches it unsigned takes nothing away from it, and two teams share it.
        let again = Recorded::after(Some(made), b"result", None);
        let both = Recorded::after(Some(again), b"result", Some(key(b"b")));
        assert_eq!(both.attesters, Attesters::from([Attester::Here, key(b"a"), key(b"b")]));
        let other = Recorded::after(Some(both), b"other", Some(key(b"b")));
        assert_eq!((&*other.result, other.attesters), (&b"other"[..], Attesters::from([key(b"b")])));
    }
}
