//! Artifacts in an OCI registry: a manifest whose layers have titles, which are the file names.
//!
//! Source: OCI distribution specification 1.1, OCI image specification 1.1 (`org.opencontainers.image.title`).

use std::collections::BTreeMap;

use mc_ir::origin::{Origin, reference_parts};
use serde::Deserialize;

use crate::checksum::{Expected, ServerDigest, sha256};
use crate::client::Client;
use crate::error::FetchError;
use crate::http::ask::{Access, Ask};
use crate::origins::listing::{RemoteFile, checked};
use crate::url::{Url, UrlError};

/// The limit that registries set for manifests.
const MAX_MANIFEST: u64 = 4 << 20;

const ACCEPT: &str = "application/vnd.oci.image.manifest.v1+json, \
                      application/vnd.docker.distribution.manifest.v2+json, application/vnd.oci.image.index.v1+json";

const TITLE: &str = "org.opencontainers.image.title";

#[derive(Deserialize)]
struct Manifest {
    #[serde(default)]
    layers: Vec<Layer>,
    manifests: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
struct Layer {
    digest: String,
    size: u64,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

/// Returns the current digest of a tag: `sha256:…`.
///
/// # Errors
/// Fails if the registry does not report it.
pub fn digest(client: &Client, origin: &Origin, reference: &str) -> Result<String, FetchError> {
    Ok(format!("sha256:{}", sha256(&manifest(client, origin, reference)?.1)))
}

/// The files of an artifact.
///
/// # Errors
/// Fails if the registry cannot be reached, the manifest does not match the reference, or it does not describe an
/// artifact of files.
pub fn files(client: &Client, origin: &Origin, reference: &str) -> Result<Vec<RemoteFile>, FetchError> {
    let wrong = |what: String| FetchError::Listing { origin: origin.to_string(), what };
    let (url, bytes) = manifest(client, origin, reference)?;
    let found = format!("sha256:{}", sha256(&bytes));
    let expected = reference.split_once('@').map_or("", |(_, digest)| digest);
    if found != expected {
        return Err(FetchError::InvalidResponse {
            url,
            what: format!("sent the manifest `{found}`, expected `{expected}`"),
        });
    }
    let manifest: Manifest = serde_json::from_slice(&bytes)
        .map_err(|error| wrong(format!("the manifest cannot be read: {error}")))?;
    if manifest.manifests.is_some() {
        return Err(wrong("it is a list of artifacts; name the digest of one of them".to_owned()));
    }
    let mut files = Vec::new();
    for layer in manifest.layers {
        // A layer without a title is not a file, but a configuration or a part of an image's file system.
        let Some(name) = layer.annotations.get(TITLE) else { continue };
        if layer.annotations.get("io.deis.oras.content.unpack").is_some_and(|unpack| unpack == "true") {
            return Err(wrong(format!("`{name}` is a packed folder; push the files one by one")));
        }
        let hex = layer.digest.strip_prefix("sha256:").and_then(ServerDigest::sha256);
        let server = hex.ok_or_else(|| {
            wrong(format!("`{name}` has the digest `{}`, expected `sha256:…`", layer.digest))
        })?;
        files.push(RemoteFile {
            name: name.clone(),
            url: address(origin, reference, &layer.digest)?,
            expected: Expected { n_bytes: Some(layer.size), digest: None, server: Some(server) },
        });
    }
    if files.is_empty() {
        return Err(wrong(format!("no layer has a title (`{TITLE}`), so there are no files in it")));
    }
    checked(origin, files)
}

/// Address of a layer's bytes.
///
/// # Errors
/// Fails if the reference cannot be used.
pub fn address(origin: &Origin, reference: &str, digest: &str) -> Result<Url, FetchError> {
    let (root, repository, _) = parts(origin, reference)?;
    endpoint(origin, &format!("{root}/v2/{repository}/blobs/{digest}"))
}

fn manifest(client: &Client, origin: &Origin, reference: &str) -> Result<(Url, Vec<u8>), FetchError> {
    let (root, repository, version) = parts(origin, reference)?;
    let url = endpoint(origin, &format!("{root}/v2/{repository}/manifests/{version}"))?;
    let ask = Ask { accept: Some(ACCEPT), access: Access::Registry, ..Ask::whole(&url) };
    let bytes = client.text(&ask, MAX_MANIFEST)?;
    Ok((url, bytes))
}

/// Base address of a registry.
///
/// # Errors
/// Fails if its name cannot be part of an address.
pub fn root(registry: &str) -> Result<Url, UrlError> {
    let registry = if registry == "docker.io" { "registry-1.docker.io" } else { registry };
    let plain = Url::parse(&format!("http://{registry}"))?;
    // A registry on this machine is for tests, and has no certificate.
    if plain.is_loopback() { Ok(plain) } else { Url::parse(&format!("https://{registry}")) }
}

/// The registry's address, the repository, and the digest or tag.
fn parts<'a>(origin: &Origin, reference: &'a str) -> Result<(String, &'a str, &'a str), FetchError> {
    let wrong = || FetchError::Listing {
        origin: origin.to_string(),
        what: "it is not an artifact; expected `registry/repository@sha256:…`".to_owned(),
    };
    let (registry, repository, version) = reference_parts(reference).ok_or_else(wrong)?;
    let root = root(registry).map_err(|source| FetchError::Url { origin: origin.to_string(), source })?;
    Ok((root.root(), repository, version))
}

fn endpoint(origin: &Origin, text: &str) -> Result<Url, FetchError> {
    Url::parse(text).map_err(|source| FetchError::Url { origin: origin.to_string(), source })
}
