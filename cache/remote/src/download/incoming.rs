//! Bytes of blobs as they come from the server, each blob checked before it is believed.
//!
//! A stream that breaks is opened again where it broke, as long as every try brings something.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use mc_digest::digest::BlobDigest;
use mc_ir::reapi_result::MAX_TREE_BYTES;

use crate::error::RemoteError;
use crate::function::{DigestFunction, Hashing};
use crate::session::Session;

/// A stream that brought hardly anything is opened again this many times.
const MAX_RETRIES: u32 = 3;
/// Fewer bytes than this are hardly anything.
const PROGRESS: u64 = 64 << 10;
/// Any stream is opened this many times at most: a server that gives a byte at a time is as good as none.
const MAX_OPENED: u32 = 50;

/// The part of a stream that is checked here.
#[derive(Clone, Copy)]
pub(crate) enum Check {
    /// Its bytes.
    Digest(DigestFunction),
    /// The number of its bytes; whoever takes them checks them.
    Length,
}

/// Bytes on their way here.
pub(crate) struct Incoming {
    pub(crate) session: Arc<Session>,
    n_bytes: AtomicU64,
}

impl Incoming {
    pub(crate) fn new(session: Arc<Session>) -> Self {
        Self { session, n_bytes: AtomicU64::new(0) }
    }

    /// Number of bytes that came so far.
    pub(crate) fn n_bytes(&self) -> u64 {
        self.n_bytes.load(Ordering::Relaxed)
    }

    /// Blobs that travel together, unchecked; the server may leave some out, and send what it was not asked for.
    ///
    /// # Errors
    /// When the server fails.
    pub(crate) fn batch(&self, blobs: &[BlobDigest]) -> Result<Vec<(BlobDigest, Vec<u8>)>, RemoteError> {
        let come = self.session.reading.ask(|| self.session.transport.read_batch(blobs))?;
        let n_bytes = come.iter().map(|(_, bytes)| bytes.len() as u64).sum();
        self.n_bytes.fetch_add(n_bytes, Ordering::Relaxed);
        Ok(come)
    }

    /// The largest blob that travels together with others.
    ///
    /// # Errors
    /// When the server fails.
    pub(crate) fn largest_in_batch(&self) -> Result<u64, RemoteError> {
        self.session.reading.ask(|| self.session.transport.largest_in_batch())
    }

    /// A whole blob in memory; `None` when it is not there.
    ///
    /// # Errors
    /// When the server fails or lies.
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

    /// A whole blob of a size that fits into memory; `None` when it is not there, or wrong.
    ///
    /// # Errors
    /// When the server fails.
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
                self.session.disbelieve(theirs, expected, found);
                Ok(None)
            }
            answer => answer,
        }
    }

    /// Gives the bytes of a blob to `take`, as many as there should be, and checks them; what `take` did with them is
    /// void after an error. A stream that breaks is opened again where it broke. `false` when the blob is not there.
    ///
    /// # Errors
    /// When the server fails or lies, or `take` fails.
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
        let (mut n_bytes, mut n_vain, mut n_opened, mut reason) = (0, 0, 0, String::new());
        while n_bytes < theirs.n_bytes {
            n_opened += 1;
            if n_vain > MAX_RETRIES || n_opened > MAX_OPENED {
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
            n_vain = if n_bytes < before + PROGRESS { n_vain + 1 } else { 0 };
        }
        match hashing.map(Hashing::finish) {
            Some(found) if found != *theirs => invalid_response(format!("blob {found}")),
            _ => Ok(true),
        }
    }
}
