//! Interpretation of HTTP responses for a cache: a missing object is not a failure.

use std::io::Read;
use std::time::Instant;

use mc_digest::digest::{BlobDigest, Digest};
use mc_fetch::client::Client;
use mc_fetch::error::FetchError;
use mc_fetch::http::ask::{Access, Ask};
use mc_fetch::url::Url;

use crate::error::RemoteError;
use crate::transport::Transport;

/// Limit on the size of a result: ten thousand outputs of a few hundred bytes each, plus a worker's output.
pub(crate) const MAX_RESULT: u64 = 4 << 20;

/// Maps "not found" to `None`.
pub(crate) fn there<T>(found: Result<T, FetchError>) -> Result<Option<T>, RemoteError> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(FetchError::Missing { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Details of a server without a capabilities request: checks that it answers like a cache.
///
/// # Errors
/// Fails if the server does not answer, or has a result under a key that no cache has.
pub(crate) fn greeting(server: &dyn Transport) -> Result<Vec<(&'static str, String)>, RemoteError> {
    let began = Instant::now();
    // No known bytes have this hash.
    let nothing = BlobDigest::new(Digest::from_bytes([0; 32]), 1);
    match server.result(&nothing)? {
        None => Ok(vec![("answers", format!("within {} ms", began.elapsed().as_millis()))]),
        Some(_) => Err(RemoteError::Unusable(format!(
            "{} has a result under a key that no action has; is it a cache, or a login page?",
            server.name()
        ))),
    }
}

/// Opens the requested bytes; `None` if the object does not exist.
pub(crate) fn bytes_from(
    client: &Client,
    ask: &Ask<'_>,
) -> Result<Option<Box<dyn Read + Send>>, RemoteError> {
    let Some(mut answer) = there(client.open(ask))? else { return Ok(None) };
    // The object is shorter than expected, so there is nothing from this byte on.
    if answer.status == 416 {
        return Ok(None);
    }
    // A server without range support sends the whole object.
    if ask.from > 0 && answer.status == 200 {
        let skipped = std::io::copy(&mut (&mut answer.body).take(ask.from), &mut std::io::sink());
        skipped.map_err(|error| RemoteError::Local(format!("{}: {error}", ask.url)))?;
    }
    Ok(Some(Box::new(answer.body)))
}

/// Returns the blobs that are missing at their addresses. A response of another length counts as missing: it may be a
/// login page.
pub(crate) fn missing(
    client: &Client,
    blobs: &[BlobDigest],
    ask: &dyn Fn(&BlobDigest) -> Result<Url, RemoteError>,
    access: Access,
) -> Result<Vec<BlobDigest>, RemoteError> {
    let mut missing = Vec::new();
    for blob in blobs {
        let url = ask(blob)?;
        let found = there(client.head(&Ask { access, ..Ask::whole(&url) }))?;
        if found.is_none_or(|n_bytes| n_bytes.is_some_and(|n_bytes| n_bytes != blob.n_bytes)) {
            missing.push(*blob);
        }
    }
    Ok(missing)
}
