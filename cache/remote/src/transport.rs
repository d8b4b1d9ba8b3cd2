//! Interface to a server or an equivalent, such as a shared folder.

use std::io::Read;

use mc_digest::digest::BlobDigest;

use crate::error::RemoteError;
use crate::function::DigestFunction;

/// A store of blobs, and of results by the key of their action. All digests are in its own digest function.
pub trait Transport: Send + Sync {
    /// Its name in messages: the address without secrets.
    fn name(&self) -> String;

    /// Its digest function.
    ///
    /// # Errors
    /// Fails if the server has to be asked and does not answer.
    fn function(&self) -> Result<DigestFunction, RemoteError>;

    /// The `ActionResult` under a key; `None` if there is none.
    ///
    /// # Errors
    /// Fails if the server does not answer.
    fn result(&self, key: &BlobDigest) -> Result<Option<Vec<u8>>, RemoteError>;

    /// Stores a result under a key, replacing an earlier one.
    ///
    /// * `named`: every blob that the result names directly or through a tree, for servers that keep only referenced
    ///   blobs
    ///
    /// # Errors
    /// Fails if the server does not accept it.
    fn put_result(&self, key: &BlobDigest, result: &[u8], named: &[BlobDigest]) -> Result<(), RemoteError>;

    /// Returns those of some blobs that the server lacks.
    ///
    /// # Errors
    /// Fails if the server does not answer.
    fn missing(&self, blobs: &[BlobDigest]) -> Result<Vec<BlobDigest>, RemoteError>;

    /// The bytes of a blob from `first` on, unverified; `None` if it does not exist.
    ///
    /// # Errors
    /// Fails if the server does not answer.
    fn read(&self, blob: &BlobDigest, first: u64) -> Result<Option<Box<dyn Read + Send>>, RemoteError>;

    /// The chunks of a blob, in order, which the server also has as blobs; `None` if the server does not list them, or
    /// the blob is too small.
    ///
    /// # Errors
    /// Fails if the server does not answer.
    fn chunks(&self, _blob: &BlobDigest) -> Result<Option<Vec<BlobDigest>>, RemoteError> {
        Ok(None)
    }

    /// Uploads a blob.
    ///
    /// * `sent`: called now and then with the number of bytes that will not be read again, unless something fails
    ///
    /// # Errors
    /// Fails if the server does not accept it.
    fn write_with_progress(
        &self,
        blob: &BlobDigest,
        bytes: &[u8],
        sent: &dyn Fn(usize),
    ) -> Result<(), RemoteError>;

    /// Uploads a blob.
    ///
    /// # Errors
    /// Fails if the server does not accept it.
    fn write(&self, blob: &BlobDigest, bytes: &[u8]) -> Result<(), RemoteError> {
        self.write_with_progress(blob, bytes, &|_| {})
    }

    /// Size limit for a blob in a batch; 0 if the server has no batches.
    ///
    /// # Errors
    /// Fails if the server does not answer.
    fn largest_in_batch(&self) -> Result<u64, RemoteError> {
        Ok(0)
    }

    /// Reads a batch of blobs, unverified, in any order; missing ones are left out.
    ///
    /// # Errors
    /// Fails if the server does not answer.
    fn read_batch(&self, _blobs: &[BlobDigest]) -> Result<Vec<(BlobDigest, Vec<u8>)>, RemoteError> {
        Ok(Vec::new())
    }

    /// Uploads a batch of blobs.
    ///
    /// # Errors
    /// Fails if the server does not accept one of them.
    fn write_batch(&self, blobs: &[(BlobDigest, &[u8])]) -> Result<(), RemoteError> {
        blobs.iter().try_for_each(|(blob, bytes)| self.write(blob, bytes))
    }

    /// Returns true if the server is known to be unavailable, so that its failure is not reported.
    fn is_absent(&self) -> bool {
        false
    }

    /// Other properties of the server, for display.
    ///
    /// # Errors
    /// Fails if the server does not answer.
    fn details(&self) -> Result<Vec<(&'static str, String)>, RemoteError> {
        Ok(Vec::new())
    }
}
