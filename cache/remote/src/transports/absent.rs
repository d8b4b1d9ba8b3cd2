//! A server that must not or cannot be asked: its earlier promises may still suffice.

use std::io::Read;

use mc_digest::digest::BlobDigest;

use crate::error::RemoteError;
use crate::function::DigestFunction;
use crate::transport::Transport;

/// An unavailable server.
#[derive(Debug)]
pub struct Absent {
    /// Its name in messages.
    pub name: String,
    /// The reason why it is unavailable.
    pub reason: String,
}

impl Absent {
    fn gone<T>(&self) -> Result<T, RemoteError> {
        Err(RemoteError::Unusable(self.reason.clone()))
    }
}

impl Transport for Absent {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn is_absent(&self) -> bool {
        true
    }

    fn function(&self) -> Result<DigestFunction, RemoteError> {
        self.gone()
    }

    fn result(&self, _: &BlobDigest) -> Result<Option<Vec<u8>>, RemoteError> {
        self.gone()
    }

    fn put_result(&self, _: &BlobDigest, _: &[u8], _: &[BlobDigest]) -> Result<(), RemoteError> {
        self.gone()
    }

    fn missing(&self, _: &[BlobDigest]) -> Result<Vec<BlobDigest>, RemoteError> {
        self.gone()
    }

    fn read(&self, _: &BlobDigest, _: u64) -> Result<Option<Box<dyn Read + Send>>, RemoteError> {
        self.gone()
    }

    fn write_with_progress(&self, _: &BlobDigest, _: &[u8], _: &dyn Fn(usize)) -> Result<(), RemoteError> {
        self.gone()
    }
}
