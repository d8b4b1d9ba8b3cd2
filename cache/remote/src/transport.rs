//! A server, or what does the work of one.

use std::io::Read;

use mc_digest::digest::BlobDigest;

use crate::error::RemoteError;
use crate::function::DigestFunction;

/// A store of blobs and of results by the key of their action. All digests are of its own digest function.
pub trait Transport: Send + Sync {
    /// What it is called in messages: its address, without what must not be seen.
    fn name(&self) -> String;

    /// How it names bytes.
    ///
    /// # Errors
    /// When that has to be asked, and it does not answer.
    fn function(&self) -> Result<DigestFunction, RemoteError>;

    /// The `ActionResult` under a key; `None` where there is none.
    ///
    /// # Errors
    /// When it does not answer.
    fn result(&self, key: &BlobDigest) -> Result<Option<Vec<u8>>, RemoteError>;

    /// Puts a result under a key, replacing an earlier one.
    ///
    /// * `named`: every blob that the result names, itself or through a tree; a server that keeps only what something
    ///   refers to is told of them
    ///
    /// # Errors
    /// When it does not take it.
    fn put_result(&self, key: &BlobDigest, result: &[u8], named: &[BlobDigest]) -> Result<(), RemoteError>;

    /// Those of some blobs that it has not.
    ///
    /// # Errors
    /// When it does not answer.
    fn missing(&self, blobs: &[BlobDigest]) -> Result<Vec<BlobDigest>, RemoteError>;

    /// The bytes of a blob from `first` on, unchecked; `None` when it is not there.
    ///
    /// # Errors
    /// When it does not answer.
    fn read(&self, blob: &BlobDigest, first: u64) -> Result<Option<Box<dyn Read + Send>>, RemoteError>;

    /// The chunks of which a blob consists, in order, as blobs that it has, too; `None` where it does not say, or the
    /// blob is too small for that.
    ///
    /// # Errors
    /// When it does not answer.
    fn chunks(&self, _blob: &BlobDigest) -> Result<Option<Vec<BlobDigest>>, RemoteError> {
        Ok(None)
    }

    /// Takes a blob's bytes.
    ///
    /// * `sent`: told now and then how many of the bytes will not be looked at any more, unless something fails
    ///
    /// # Errors
    /// When it does not.
    fn write_with_progress(
        &self,
        blob: &BlobDigest,
        bytes: &[u8],
        sent: &dyn Fn(usize),
    ) -> Result<(), RemoteError>;

    /// Takes a blob's bytes.
    ///
    /// # Errors
    /// When it does not.
    fn write(&self, blob: &BlobDigest, bytes: &[u8]) -> Result<(), RemoteError> {
        self.write_with_progress(blob, bytes, &|_| {})
    }

    /// The largest blob that travels together with others; nothing does where a server takes one at a time.
    ///
    /// # Errors
    /// When it does not answer.
    fn largest_in_batch(&self) -> Result<u64, RemoteError> {
        Ok(0)
    }

    /// Blobs that travel together, unchecked, in any order; those that are not there are left out.
    ///
    /// # Errors
    /// When it does not answer.
    fn read_batch(&self, _blobs: &[BlobDigest]) -> Result<Vec<(BlobDigest, Vec<u8>)>, RemoteError> {
        Ok(Vec::new())
    }

    /// Takes blobs that travel together.
    ///
    /// # Errors
    /// When it does not take one of them.
    fn write_batch(&self, blobs: &[(BlobDigest, &[u8])]) -> Result<(), RemoteError> {
        blobs.iter().try_for_each(|(blob, bytes)| self.write(blob, bytes))
    }

    /// Whether it is known not to answer, so that its failure is no news.
    fn is_absent(&self) -> bool {
        false
    }

    /// What else is to be known about it, for people.
    ///
    /// # Errors
    /// When it does not answer.
    fn details(&self) -> Result<Vec<(&'static str, String)>, RemoteError> {
        Ok(Vec::new())
    }
}
