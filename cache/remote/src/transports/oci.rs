//! A repository in an OCI registry: blobs are stored as registry blobs, a result as a small artifact with the tag
//! `ac-HASH`.
//!
//! The artifact's manifest lists every blob that the result names. The registry therefore rejects a result with missing
//! blobs, and its garbage collection keeps the blobs of a result until the tag is removed.
//!
//! Source: OCI distribution specification 1.1, OCI image specification 1.1 (artifacts; `data` of a descriptor).

use std::collections::BTreeSet;
use std::io::Read;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use mc_digest::digest::{BlobDigest, Digest};
use mc_fetch::client::Client;
use mc_fetch::error::FetchError;
use mc_fetch::http::answer::Answer;
use mc_fetch::http::ask::{Access, Ask};
use mc_fetch::http::sending::{Sending, Verb};
use mc_fetch::origins::oci;
use mc_fetch::url::Url;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::error::RemoteError;
use crate::function::DigestFunction;
use crate::transport::Transport;
use crate::transports::answer::{MAX_RESULT, bytes_from, greeting, missing, there};

/// The limit that registries set for manifests.
const MAX_MANIFEST: u64 = 4 << 20;

/// Larger results are not embedded in their manifest.
const MAX_EMBEDDED: usize = 1 << 20;

/// Bytes per request, and per retry; larger blobs are uploaded in several pieces.
const PIECE: usize = 8 << 20;

/// Number of retries of a piece without progress.
const MAX_WITHOUT_PROGRESS: u32 = 2;

/// Limit on the tries per piece, even with progress: a registry that accepts a few bytes at a time is useless.
const MAX_TRIES: u32 = 20;

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const RESULT: &str = "application/vnd.build.bazel.remote.execution.v2.action-result";
const BYTES: &str = "application/octet-stream";

/// A repository as a cache.
#[derive(Debug)]
pub struct Oci {
    client: Client,
    name: String,
    registry: Url,
    /// Base address: `https://registry/v2/repository`.
    root: String,
}

#[derive(Deserialize)]
struct Manifest {
    config: Descriptor,
}

#[derive(Deserialize)]
struct Descriptor {
    digest: String,
    data: Option<String>,
}

impl Oci {
    /// Creates a client for the cache in a repository without sending a request.
    ///
    /// # Errors
    /// Fails if the registry's name cannot be part of an address.
    pub fn new(client: Client, registry: &str, repository: &str) -> Result<Self, RemoteError> {
        let name = format!("oci://{registry}/{repository}");
        let registry = oci::root(registry)
            .map_err(|error| RemoteError::Address { address: name.clone(), reason: error.to_string() })?;
        let root = format!("{}/v2/{repository}", registry.root());
        Ok(Self { client, name, registry, root })
    }

    fn url(&self, below: &str) -> Result<Url, RemoteError> {
        Url::parse(&format!("{}/{below}", self.root)).map_err(|error| RemoteError::Local(error.to_string()))
    }

    fn blob(&self, blob: &BlobDigest) -> Result<Url, RemoteError> {
        self.url(&format!("blobs/sha256:{}", blob.hash))
    }

    fn send(
        &self,
        verb: Verb,
        url: &Url,
        headers: &[(&str, &str)],
        bytes: &[u8],
    ) -> Result<Answer, RemoteError> {
        Ok(self.client.send(&Sending { verb, url, headers, access: self.access(url) }, bytes)?)
    }

    /// Chooses the credentials for a server. A registry may redirect uploads to another server, which must not receive
    /// the user's credentials for that server.
    fn access(&self, url: &Url) -> Access {
        if url.is_same_server(&self.registry) { Access::Registry } else { Access::Nobody }
    }

    /// Sends the bytes from `first` on. After a broken connection, asks the registry how many bytes it has.
    fn send_piece(&self, mut place: Url, first: u64, piece: &[u8]) -> Result<Url, RemoteError> {
        let (n_bytes, mut n_sent, mut furthest, mut n_without_progress) = (piece.len() as u64, 0, 0, 0);
        for n_tries in 1.. {
            let range = format!("{}-{}", first + n_sent, first + n_bytes - 1);
            let headers = [("content-type", BYTES), ("content-range", range.as_str())];
            let access = self.access(&place);
            let sending = Sending { verb: Verb::Patch, url: &place, headers: &headers, access };
            let rest = &piece[n_sent as usize..];
            let error = match self.client.send_once(&sending, rest) {
                Ok(answer) => return next(&place, &answer),
                Err(error) => error,
            };
            let Ok(answer) = self.client.open(&Ask { access, ..Ask::whole(&place) }) else {
                return Err(error.into());
            };
            let n_there = n_there(&answer).and_then(|n_there| n_there.checked_sub(first));
            let Some(n_there) = n_there.filter(|n_there| *n_there <= n_bytes) else {
                return Err(error.into());
            };
            // Progress means beyond the furthest position, not only the last: a registry may move back and forth.
            n_without_progress = if n_there > furthest { 0 } else { n_without_progress + 1 };
            furthest = furthest.max(n_there);
            if n_without_progress > MAX_WITHOUT_PROGRESS || n_tries > MAX_TRIES {
                return Err(error.into());
            }
            (n_sent, place) = (n_there, next(&place, &answer)?);
            if n_sent == n_bytes {
                break;
            }
        }
        Ok(place)
    }
}

/// The address at which an upload continues.
fn next(url: &Url, answer: &Answer) -> Result<Url, RemoteError> {
    let invalid_response =
        |what: &str| FetchError::InvalidResponse { url: url.clone(), what: what.to_owned() };
    let location =
        answer.header("location").ok_or_else(|| invalid_response("accepted an upload without an address"))?;
    let next = answer
        .url
        .join(location)
        .map_err(|error| invalid_response(&format!("sends an upload to an invalid address: {error}")))?;
    url.may_lead_to(&next).map_err(|what| invalid_response(&format!("sends an upload {what}")))?;
    Ok(next)
}

/// Number of bytes of an upload that the registry has, from `Range: 0-LAST`, which is also sent for none.
fn n_there(answer: &Answer) -> Option<u64> {
    let last: u64 = answer.header("range")?.rsplit('-').next()?.parse().ok()?;
    Some(if last == 0 { 0 } else { last + 1 })
}

/// The artifact of a result.
fn manifest(result: &[u8], named: &[BlobDigest]) -> Vec<u8> {
    let describe = |media: &str, blob: &BlobDigest| json!({"mediaType": media, "digest": format!("sha256:{}", blob.hash), "size": blob.n_bytes});
    let mut config = describe(RESULT, &DigestFunction::Sha256.digest(result));
    if result.len() <= MAX_EMBEDDED {
        config["data"] = Value::String(BASE64_STANDARD.encode(result));
    }
    // The empty blob is never uploaded.
    let layers: BTreeSet<&BlobDigest> = named.iter().filter(|blob| blob.n_bytes > 0).collect();
    let layers: Vec<Value> = layers.into_iter().map(|blob| describe(BYTES, blob)).collect();
    let manifest = json!({
        "schemaVersion": 2, "mediaType": MANIFEST, "artifactType": RESULT, "config": config, "layers": layers,
    });
    manifest.to_string().into_bytes()
}

impl Transport for Oci {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn function(&self) -> Result<DigestFunction, RemoteError> {
        Ok(DigestFunction::Sha256)
    }

    fn result(&self, key: &BlobDigest) -> Result<Option<Vec<u8>>, RemoteError> {
        let url = self.url(&format!("manifests/ac-{}", key.hash))?;
        let ask = Ask { accept: Some(MANIFEST), access: Access::Registry, ..Ask::whole(&url) };
        let Some(text) = there(self.client.text(&ask, MAX_MANIFEST))? else { return Ok(None) };
        // An artifact of another program is not a result, and is replaced.
        let Ok(Manifest { config }) = serde_json::from_slice(&text) else { return Ok(None) };
        let is_digest =
            |digest: &str| digest.strip_prefix("sha256:").is_some_and(|hex| hex.parse::<Digest>().is_ok());
        if !is_digest(&config.digest) {
            return Ok(None);
        }
        let result = match config.data.and_then(|data| BASE64_STANDARD.decode(data).ok()) {
            Some(data) => data,
            None => {
                let url = self.url(&format!("blobs/{}", config.digest))?;
                let ask = Ask { access: Access::Registry, ..Ask::whole(&url) };
                let Some(result) = there(self.client.text(&ask, MAX_RESULT))? else { return Ok(None) };
                result
            }
        };
        let found = DigestFunction::Sha256.digest(&result);
        Ok((config.digest == format!("sha256:{}", found.hash)).then_some(result))
    }

    fn put_result(&self, key: &BlobDigest, result: &[u8], named: &[BlobDigest]) -> Result<(), RemoteError> {
        let config = DigestFunction::Sha256.digest(result);
        if !self.missing(&[config])?.is_empty() {
            self.write(&config, result)?;
        }
        let url = self.url(&format!("manifests/ac-{}", key.hash))?;
        self.send(Verb::Put, &url, &[("content-type", MANIFEST)], &manifest(result, named))?;
        Ok(())
    }

    fn details(&self) -> Result<Vec<(&'static str, String)>, RemoteError> {
        greeting(self)
    }

    fn missing(&self, blobs: &[BlobDigest]) -> Result<Vec<BlobDigest>, RemoteError> {
        missing(&self.client, blobs, &|blob| self.blob(blob), Access::Registry)
    }

    fn read(&self, blob: &BlobDigest, first: u64) -> Result<Option<Box<dyn Read + Send>>, RemoteError> {
        let url = self.blob(blob)?;
        bytes_from(&self.client, &Ask { from: first, access: Access::Registry, ..Ask::whole(&url) })
    }

    fn write_with_progress(
        &self,
        blob: &BlobDigest,
        bytes: &[u8],
        sent: &dyn Fn(usize),
    ) -> Result<(), RemoteError> {
        let url = self.url("blobs/uploads/")?;
        let mut place = next(&url, &self.send(Verb::Post, &url, &[], &[])?)?;
        let mut rest = bytes;
        if bytes.len() > PIECE {
            for (number, piece) in (0..).zip(bytes.chunks(PIECE)) {
                place = self.send_piece(place, number * PIECE as u64, piece)?;
                sent(number as usize * PIECE + piece.len());
            }
            // All bytes are there; only the final request remains.
            rest = &[];
        }
        let digest = format!("sha256:{}", blob.hash);
        let end = place.with_query(&[("digest", &digest)]);
        self.send(Verb::Put, &end, &[("content-type", BYTES)], rest)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_artifact_lists_what_its_result_names_once() {
        let blob = DigestFunction::Sha256.digest(b"abc");
        let empty = DigestFunction::Sha256.digest(b"");
        let text = String::from_utf8(manifest(b"result", &[blob, empty, blob])).unwrap();
        let expected = concat!(
            r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","#,
            r#""artifactType":"application/vnd.build.bazel.remote.execution.v2.action-result","config":{"#,
            r#""mediaType":"application/vnd.build.bazel.remote.execution.v2.action-result","#,
            r#""digest":"sha256:f6a214f7a5fcda0c2cee9660b7fc29f5649e3c68aad48e20e950137c98913a68","size":6,"#,
            r#""data":"cmVzdWx0"},"layers":[{"mediaType":"application/octet-stream","#,
            r#""digest":"sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad","size":3}]}"#,
        );
        assert_eq!(text, expected);
        let long = vec![0; MAX_EMBEDDED + 1];
        assert!(manifest(&long, &[blob]).len() < 1000);
    }
}
