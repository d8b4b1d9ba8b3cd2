//! What the answers of web servers mean for a cache: what is missing is no failure.

use std::io::Read;
use std::time::Instant;

use mc_digest::digest::{BlobDigest, Digest};
use mc_fetch::client::Client;
use mc_fetch::error::FetchError;
use mc_fetch::http::ask::{Access, Ask};
use mc_fetch::url::Url;

use crate::error::RemoteError;
use crate::transport::Transport;

/// No result is longer: ten thousand outputs of some hundred bytes each, and what a worker said.
pub(crate) const MAX_RESULT: u64 = 4 << 20;

/// What is there, as something that may be missing.
pub(crate) fn there<T>(found: Result<T, FetchError>) -> Result<Option<T>, RemoteError> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(FetchError::Missing { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// What a server says of which nothing is agreed upon: whether it answers at all, as a cache does.
///
/// # Errors
/// When it does not answer, or has a result where no cache has one.
pub(crate) fn greeting(server: &dyn Transport) -> Result<Vec<(&'static str, String)>, RemoteError> {
    let began = Instant::now();
    // No bytes are known that have this hash.
    let nothing = BlobDigest::new(Digest::from_bytes([0; 32]), 1);
    match server.result(&nothing)? {
        None => Ok(vec![("answers", format!("within {} ms", began.elapsed().as_millis()))]),
        Some(_) => Err(RemoteError::Unusable(format!(
            "{} has a result under a key that nothing has, expected none; is it a cache, or a page to log in?",
            server.name()
        ))),
    }
}

/// The bytes that are asked for; `None` where there are none.
pub(crate) fn bytes_from(
    client: &Client,
    ask: &Ask<'_>,
) -> Result<Option<Box<dyn Read + Send>>, RemoteError> {
    let Some(mut answer) = there(client.open(ask))? else { return Ok(None) };
    // Past its end there is nothing: what is there is shorter than it should be.
    if answer.status == 416 {
        return Ok(None);
    }
    // A server that knows no ranges sends all of it again.
    if ask.from > 0 && answer.status == 200 {
        let skipped = std::io::copy(&mut (&mut answer.body).take(ask.from), &mut std::io::sink());
        skipped.map_err(|error| RemoteError::Local(format!("{}: {error}", ask.url)))?;
    }
    Ok(Some(Box::new(answer.body)))
}

/// Those of some blobs that are not at their addresses. What is there and has another length is something else, such as
/// the page on which people log in.
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
