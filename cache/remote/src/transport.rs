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
    fn function(&self) -> DigestFunction;

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

    /// Whether it has a blob.
    ///
    /// # Errors
    /// When it does not answer.
    fn has(&self, blob: &BlobDigest) -> Result<bool, RemoteError>;

    /// The bytes of a blob from `first` on, unchecked; `None` when it is not there.
    ///
    /// # Errors
    /// When it does not answer.
    fn read(&self, blob: &BlobDigest, first: u64) -> Result<Option<Box<dyn Read + Send>>, RemoteError>;

    /// Takes a blob's bytes.
    ///
    /// # Errors
    /// When it does not.
    fn write(&self, blob: &BlobDigest, bytes: &mut dyn Read) -> Result<(), RemoteError>;
}
