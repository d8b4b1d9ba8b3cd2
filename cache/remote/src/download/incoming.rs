//! Bytes of blobs from the server, each blob verified before use.
//!
//! A broken stream is resumed where it broke as long as every try makes progress.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use mc_digest::digest::BlobDigest;
use mc_ir::reapi_result::MAX_TREE_BYTES;

use crate::error::RemoteError;
use crate::function::{DigestFunction, Hashing};
use crate::session::Session;

/// Number of retries for streams without progress.
const MAX_RETRIES: u32 = 3;
/// Tries that receive fewer bytes count as no progress.
const PROGRESS: u64 = 64 << 10;
/// Limit on the tries per stream, even with progress: a server that sends a few bytes at a time is useless.
const MAX_OPENED: u32 = 50;

/// Verification of a stream.
#[derive(Clone, Copy)]
pub(crate) enum Check {
    /// The digest of its bytes.
    Digest(DigestFunction),
    /// The number of its bytes; the consumer verifies the digest.
    Length,
}

/// Verified reads from the server.
pub(crate) struct Incoming {
    pub(crate) session: Arc<Session>,
    n_bytes: AtomicU64,
}

impl Incoming {
    pub(crate) fn new(session: Arc<Session>) -> Self {
        Self { session, n_bytes: AtomicU64::new(0) }
    }

    /// Number of bytes received so far.
    pub(crate) fn n_bytes(&self) -> u64 {
        self.n_bytes.load(Ordering::Relaxed)
    }

    /// Reads a batch of blobs without verifying them; the server may leave some out, or send others.
    ///
    /// # Errors
    /// Fails if the server fails.
    pub(crate) fn batch(&self, blobs: &[BlobDigest]) -> Result<Vec<(BlobDigest, Vec<u8>)>, RemoteError> {
        let come = self.session.reading.ask(|| self.session.transport.read_batch(blobs))?;
        let n_bytes = come.iter().map(|(_, bytes)| bytes.len() as u64).sum();
        self.n_bytes.fetch_add(n_bytes, Ordering::Relaxed);
        Ok(come)
    }

    /// Size limit for a blob in a batch.
    ///
    /// # Errors
    /// Fails if the server fails.
    pub(crate) fn largest_in_batch(&self) -> Result<u64, RemoteError> {
        self.session.reading.ask(|| self.session.transport.largest_in_batch())
    }

    /// Reads a whole blob into memory; `None` if it does not exist.
    ///
    /// # Errors
    /// Fails if the server fails or sends wrong bytes.
    pub(crate) fn whole(
        &self,
        function: DigestFunction,
        theirs: &BlobDigest,
    ) -> Result<Option<Vec<u8>>, RemoteError> {
        let mut bytes = Vec::new();
        let is_there = self.stream(Check::Digest(function), theirs, &mut |more| {
            bytes.extend_from_slice(more);
            Ok(())
        })?;
        Ok(is_there.then_some(bytes))
    }

    /// Reads a whole blob of a size that fits into memory; `None` if it does not exist or is corrupt.
    ///
    /// # Errors
    /// Fails if the server fails.
    pub(crate) fn small(
        &self,
        function: DigestFunction,
        theirs: &BlobDigest,
    ) -> Result<Option<Vec<u8>>, RemoteError> {
        if theirs.n_bytes > MAX_TREE_BYTES {
            return Ok(None);
        }
        match self.whole(function, theirs) {
            Err(RemoteError::InvalidResponse { expected, found, .. }) => {
                self.session.record_mismatch(theirs, expected, found);
                Ok(None)
            }
            answer => answer,
        }
    }

    /// Passes the bytes of a blob to `take`, up to the expected length, and verifies them; after an error the caller
    /// must discard what `take` received. A broken stream is resumed where it broke. Returns `false` if the blob does
    /// not exist.
    ///
    /// # Errors
    /// Fails if the server fails or sends wrong bytes, or `take` fails.
    pub(crate) fn stream(
        &self,
        check: Check,
        theirs: &BlobDigest,
        take: &mut dyn FnMut(&[u8]) -> io::Result<()>,
    ) -> Result<bool, RemoteError> {
        let invalid_response = |found: String| {
            Err(RemoteError::InvalidResponse {
                server: self.session.name(),
                expected: format!("blob {theirs}"),
                found,
            })
        };
        let mut hashing = match check {
            Check::Digest(function) => Some(Hashing::new(function)),
            Check::Length => None,
        };
        let mut buffer = vec![0; 1 << 18];
        let (mut n_bytes, mut n_without_progress, mut n_opened, mut reason) = (0, 0, 0, String::new());
        while n_bytes < theirs.n_bytes {
            n_opened += 1;
            if n_without_progress > MAX_RETRIES || n_opened > MAX_OPENED {
                return invalid_response(format!("{n_bytes} bytes{reason}"));
            }
            let before = n_bytes;
            let Some(mut reader) =
                self.session.reading.ask(|| self.session.transport.read(theirs, n_bytes))?
            else {
                return Ok(false);
            };
            loop {
                let n_read = match reader.read(&mut buffer) {
                    Ok(0) => break,
                    Ok(n_read) => n_read,
                    Err(error) => {
                        reason = format!(" ({error})");
                        break;
                    }
                };
                self.n_bytes.fetch_add(n_read as u64, Ordering::Relaxed);
                n_bytes += n_read as u64;
                if n_bytes > theirs.n_bytes {
                    return invalid_response("more bytes".to_owned());
                }
                if let Some(hashing) = &mut hashing {
                    hashing.update(&buffer[..n_read]);
                }
                take(&buffer[..n_read]).map_err(RemoteError::of_writer)?;
            }
            n_without_progress = if n_bytes < before + PROGRESS { n_without_progress + 1 } else { 0 };
        }
        match hashing.map(Hashing::finish) {
            Some(found) if found != *theirs => invalid_response(format!("blob {found}")),
            _ => Ok(true),
        }
    }
}
