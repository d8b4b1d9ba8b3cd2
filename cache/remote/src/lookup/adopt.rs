//! Mapping of a result's outputs to the store: each blob is local, promised, or fetched.

use std::collections::BTreeMap;

use mc_digest::digest::BlobDigest;
use mc_ir::output::{Output, Outputs};
use mc_store::traits::BlobStore;

use crate::download::fetch::Wanted;
use crate::download::{Download, Fetching};
use crate::error::RemoteError;
use crate::function::DigestFunction;
use crate::lookup::result::ServerResult;
use crate::session::naming::renamed;

/// Blobs of a result, by server digest.
#[derive(Default)]
struct Sorted {
    /// BLAKE3 digests of blobs that are local or already promised.
    ours: BTreeMap<BlobDigest, BlobDigest>,
    /// BLAKE3 digests of blobs to promise.
    promised: BTreeMap<BlobDigest, BlobDigest>,
    /// Blobs to fetch.
    wanted: Wanted,
}

/// Maps outputs of the server to the store. Blobs are promised if possible, and fetched otherwise. `None` if one of
/// them is unavailable.
///
/// # Errors
/// Fails if the server fails or sends wrong bytes.
pub(crate) fn adopt(
    download: &Download,
    function: DigestFunction,
    store: &dyn BlobStore,
    result: &ServerResult,
) -> Result<Option<Outputs>, RemoteError> {
    let session = &download.session;
    let promises = &session.notes.promised;
    let Some(sorted) = sort(download, function, store, result)? else { return Ok(None) };
    let Sorted { mut ours, promised, wanted } = sorted;
    if !download.losses.are_there(promised.keys().copied().collect())? {
        return Ok(None);
    }
    for (blob, here) in promised {
        // A promise that cannot be recorded does not count.
        if !promises.add(function, here, blob) {
            return Ok(None);
        }
        download.losses.believe(here);
        ours.insert(blob, here);
    }
    // The pair of digests is recorded even if wrong, since the bytes are verified against the BLAKE3 digest.
    for (theirs, here) in &wanted {
        if let Some(here) = here {
            promises.add(function, *here, *theirs);
        }
    }
    let fetched = download.fetcher.fetch(function, store, &wanted)?;
    session.findings.are_gone(wanted.into_keys().filter(|blob| !fetched.contains_key(blob)));
    ours.extend(fetched);
    let mut outputs = Outputs::new();
    for (name, output) in &result.outputs {
        let parts: Option<Vec<BlobDigest>> =
            output.parts().iter().map(|part| ours.get(part).copied()).collect();
        let Some(parts) = parts else { return Ok(None) };
        outputs.insert(name.clone(), renamed(output, parts));
    }
    Ok(Some(outputs))
}

/// Sorts the blobs of a result; `None` if one of them is known to be unavailable.
fn sort(
    download: &Download,
    function: DigestFunction,
    store: &dyn BlobStore,
    result: &ServerResult,
) -> Result<Option<Sorted>, RemoteError> {
    let session = &download.session;
    let mut sorted = Sorted::default();
    for blob in result.outputs.values().flat_map(Output::parts) {
        let claimed = session.notes.here(function, blob).or_else(|| result.claimed(blob));
        if let Some(here) = claimed
            && store.contains(&here)?
        {
            sorted.ours.insert(*blob, here);
        } else if session.findings.is_wrong(blob) {
            return Ok(None);
        } else if let Some(here) = claimed
            && download.fetching == Fetching::WhenRead
        {
            sorted.promised.insert(*blob, here);
        } else {
            sorted.wanted.insert(*blob, claimed);
        }
    }
    Ok(Some(sorted))
}
