//! A server with results under `/ac/HASH` and blobs under `/cas/HASH`, like Bazel's HTTP caches: bazel-remote, nginx
//! with `dav`, a bucket behind a proxy. Hashes are SHA-256.
//!
//! Such a server may verify nothing, so everything that it sends is verified here.

use std::io::{self, Read};

use mc_digest::digest::BlobDigest;
use mc_fetch::client::Client;
use mc_fetch::http::ask::{Access, Ask};
use mc_fetch::url::Url;

use crate::error::RemoteError;
use crate::function::DigestFunction;
use crate::transport::Transport;
use crate::transports::answer::{MAX_RESULT, bytes_from, greeting, missing, there};

/// Bytes between two progress reports.
const PIECE: usize = 1 << 20;

/// An HTTP cache server.
#[derive(Debug)]
pub struct Http {
    client: Client,
    base: Url,
}

impl Http {
    /// Creates a client for the cache below an address.
    pub fn new(client: Client, base: Url) -> Self {
        Self { client, base }
    }

    fn url(&self, kind: &str, digest: &BlobDigest) -> Url {
        self.base.below(&format!("{kind}/{}", digest.hash))
    }
}

impl Transport for Http {
    fn name(&self) -> String {
        self.base.to_string()
    }

    fn function(&self) -> Result<DigestFunction, RemoteError> {
        Ok(DigestFunction::Sha256)
    }

    fn result(&self, key: &BlobDigest) -> Result<Option<Vec<u8>>, RemoteError> {
        let url = self.url("ac", key);
        there(self.client.text(&Ask::whole(&url), MAX_RESULT))
    }

    fn put_result(&self, key: &BlobDigest, result: &[u8], _named: &[BlobDigest]) -> Result<(), RemoteError> {
        Ok(self.client.put(&self.url("ac", key), result.len() as u64, || result)?)
    }

    fn details(&self) -> Result<Vec<(&'static str, String)>, RemoteError> {
        greeting(self)
    }

    fn missing(&self, blobs: &[BlobDigest]) -> Result<Vec<BlobDigest>, RemoteError> {
        missing(&self.client, blobs, &|blob| Ok(self.url("cas", blob)), Access::Server)
    }

    fn read(&self, blob: &BlobDigest, first: u64) -> Result<Option<Box<dyn Read + Send>>, RemoteError> {
        let url = self.url("cas", blob);
        bytes_from(&self.client, &Ask { from: first, ..Ask::whole(&url) })
    }

    fn write_with_progress(
        &self,
        blob: &BlobDigest,
        bytes: &[u8],
        sent: &dyn Fn(usize),
    ) -> Result<(), RemoteError> {
        let telling = || ReadProgress { bytes, n_read: 0, sent };
        Ok(self.client.put(&self.url("cas", blob), blob.n_bytes, telling)?)
    }
}

/// A reader that reports its progress.
struct ReadProgress<'a> {
    bytes: &'a [u8],
    n_read: usize,
    sent: &'a dyn Fn(usize),
}

impl Read for ReadProgress<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n_read = (&self.bytes[self.n_read..]).read(buffer)?;
        let before = self.n_read;
        self.n_read += n_read;
        // Reads are small, so not every read is reported.
        if before / PIECE != self.n_read / PIECE {
            (self.sent)(self.n_read);
        }
        Ok(n_read)
    }
}
