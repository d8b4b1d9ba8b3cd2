//! A store that also contains promised blobs: it downloads them when they are opened.

use mc_digest::digest::BlobDigest;
use mc_store::error::StoreError;
use mc_store::mapping::MappedFile;
use mc_store::traits::{BlobStore, BlobWriter};

use crate::error::RemoteError;
use crate::remote::Remote;

/// The local store and the promises of a remote cache.
pub struct LazyStore<'a> {
    /// The local store.
    pub local: &'a dyn BlobStore,
    /// The remote cache.
    pub remote: &'a Remote,
}

impl BlobStore for LazyStore<'_> {
    fn contains(&self, digest: &BlobDigest) -> Result<bool, StoreError> {
        Ok(self.local.contains(digest)? || self.remote.promises(digest))
    }

    fn open(&self, digest: &BlobDigest) -> Result<Option<MappedFile>, StoreError> {
        if let Some(blob) = self.local.open(digest)? {
            return Ok(Some(blob));
        }
        match self.remote.bring(self.local, std::slice::from_ref(digest)) {
            Err(RemoteError::Store(error)) => Err(error),
            // The breaker and the count of lost blobs record the reason.
            Ok(()) | Err(_) => self.local.open(digest),
        }
    }

    fn doubt(&self, digest: &BlobDigest) -> Result<(), StoreError> {
        self.local.doubt(digest)
    }

    fn sync(&self) -> Result<(), StoreError> {
        self.local.sync()
    }

    fn writer(&self) -> Result<Box<dyn BlobWriter + '_>, StoreError> {
        self.local.writer()
    }
}
