//! Outputs of the server as ones of the store: their blobs are here, promised, or fetched.

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

/// Blobs of a result, by the server's names.
#[derive(Default)]
struct Sorted {
    /// Ours of those that are here, or as good as here.
    ours: BTreeMap<BlobDigest, BlobDigest>,
    /// Ours of those that are to be promised.
    promised: BTreeMap<BlobDigest, BlobDigest>,
    /// Those that are to be fetched.
    wanted: Wanted,
}

/// Outputs of the server as ones of the store; their blobs are promised where that is possible, and else fetched.
/// `None` when one of them cannot be had.
///
/// # Errors
/// When the server fails or lies.
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
        // What cannot be noted is no promise.
        if !promises.add(function, here, blob) {
            return Ok(None);
        }
        download.losses.believe(here);
        ours.insert(blob, here);
    }
    // Whatever it is called there is remembered, since its bytes are checked against what it is called here.
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

/// Sorts the blobs of a result; `None` when one of them is known not to be had.
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
