//! A server that keeps results under `/ac/HASH` and blobs under `/cas/HASH`, as Bazel's HTTP caches do: bazel-remote,
//! nginx with `dav`, a bucket behind a proxy. Hashes are SHA-256.
//!
//! Such a server may check nothing, so everything that comes from it is checked here.

use std::io::Read;

use mc_digest::digest::BlobDigest;
use mc_fetch::client::{Ask, Client};
use mc_fetch::error::FetchError;
use mc_fetch::url::Url;

use crate::error::RemoteError;
use crate::function::DigestFunction;
use crate::transport::Transport;

/// No result of ours is longer: some hundred outputs of a hundred bytes each.
const MAX_RESULT: u64 = 16 << 20;

/// A server.
#[derive(Debug)]
pub struct Http {
    client: Client,
    base: Url,
}

impl Http {
    /// The cache below an address.
    pub fn new(client: Client, base: Url) -> Self {
        Self { client, base }
    }

    fn url(&self, kind: &str, digest: &BlobDigest) -> Url {
        self.base.below(&format!("{kind}/{}", digest.hash))
    }
}

/// What is there, as something that may be missing.
fn there<T>(found: Result<T, FetchError>) -> Result<Option<T>, RemoteError> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(FetchError::Missing { .. }) => Ok(None),
        Err(error) => Err(error.into()),
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
        Ok(self.client.put(&self.url("ac", key), result.len() as u64, &mut &*result)?)
    }

    fn missing(&self, blobs: &[BlobDigest]) -> Result<Vec<BlobDigest>, RemoteError> {
        let mut missing = Vec::new();
        for blob in blobs {
            if there(self.client.head(&self.url("cas", blob)))?.is_none() {
                missing.push(*blob);
            }
        }
        Ok(missing)
    }

    fn read(&self, blob: &BlobDigest, first: u64) -> Result<Option<Box<dyn Read + Send>>, RemoteError> {
        let url = self.url("cas", blob);
        let ask = Ask { from: first, ..Ask::whole(&url) };
        let Some(mut answer) = there(self.client.open(&ask))? else { return Ok(None) };
        // Past its end there is nothing: what is there is shorter than it should be.
        if answer.status == 416 {
            return Ok(None);
        }
        // A server that knows no ranges sends all of it again.
        if first > 0 && answer.status == 200 {
            let skipped = std::io::copy(&mut (&mut answer.body).take(first), &mut std::io::sink());
            skipped.map_err(|error| RemoteError::Local(format!("{url}: {error}")))?;
        }
        Ok(Some(Box::new(answer.body)))
    }

    fn write(&self, blob: &BlobDigest, bytes: &[u8]) -> Result<(), RemoteError> {
        Ok(self.client.put(&self.url("cas", blob), blob.n_bytes, &mut &*bytes)?)
    }
}
