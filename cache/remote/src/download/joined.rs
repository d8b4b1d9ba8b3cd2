//! Assembles a large blob from chunks if a local blob already contains most of them: an embedding with a few more rows,
//! a text with a few more lines.
//!
//! The server lists the chunks of a blob; earlier lists locate them in local blobs. Every downloaded chunk is verified,
//! and so is the whole blob. If that fails, or little would be saved, the blob is downloaded as one stream.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use mc_digest::digest::BlobDigest;
use mc_store::mapping::MappedFile;
use mc_store::traits::{BlobStore, BlobWriter};

use crate::download::incoming::Incoming;
use crate::error::RemoteError;
use crate::function::{DigestFunction, Hashing};
use crate::notes::chunks::ChunkRange;
use crate::session::Session;

/// Chunks are joined if at least 1/`WORTH` of the bytes is local.
const WORTH: u64 = 8;

/// Bytes of chunks that are requested, and held in memory, at a time.
const WINDOW: u64 = 4 << 20;

/// Limit on a chunk: four times the largest average that the API allows.
const MAX_CHUNK: u64 = 4 << 20;

/// The chunks of a blob, in order, each with its local range if it has one.
type Plan<'a> = &'a [(BlobDigest, Option<ChunkRange>)];

/// The chunks of a blob, if the server lists them and the list is plausible.
pub(crate) fn chunks_of(
    session: &Session,
    theirs: &BlobDigest,
) -> Result<Option<Vec<BlobDigest>>, RemoteError> {
    let chunks = session.reading.ask(|| session.transport.chunks(theirs))?;
    let makes_sense = |chunks: &Vec<BlobDigest>| {
        let sizes = chunks.iter().map(|chunk| chunk.n_bytes);
        let n_bytes = sizes.clone().try_fold(0_u64, u64::checked_add);
        n_bytes == Some(theirs.n_bytes) && sizes.clone().all(|size| (1..=MAX_CHUNK).contains(&size))
    };
    Ok(chunks.filter(makes_sense))
}

/// Joins a blob from local and downloaded chunks. `None` if that is not worthwhile, or fails.
///
/// * `ours`: the BLAKE3 digest if known; otherwise the bytes are verified against `theirs`
pub(crate) fn join(
    incoming: &Incoming,
    function: DigestFunction,
    store: &dyn BlobStore,
    theirs: &BlobDigest,
    ours: Option<BlobDigest>,
    chunks: &[BlobDigest],
) -> Result<Option<BlobDigest>, RemoteError> {
    let mut here = BTreeMap::new();
    let mut plan = Vec::new();
    for chunk in chunks {
        let mut stretch = incoming.session.notes.chunks.stretch(chunk);
        if let Some(ChunkRange { blob, .. }) = stretch {
            if let Entry::Vacant(entry) = here.entry(blob) {
                let opened = entry.insert(store.open(&blob)?);
                // Opening verified the blobs from front to back; only parts of them are read again, later.
                opened.iter().for_each(|blob| blob.release(blob.len()));
            }
            // The notes may be outdated: the blob may have changed or disappeared.
            stretch = stretch.filter(|stretch| bytes_of(&here, stretch, chunk).is_some());
        }
        plan.push((*chunk, stretch));
    }
    let n_here: u64 = plan.iter().filter(|(_, here)| here.is_some()).map(|(chunk, _)| chunk.n_bytes).sum();
    if n_here * WORTH < theirs.n_bytes {
        return Ok(None);
    }
    let mut writer = store.writer()?;
    let mut hashing = ours.is_none().then(|| Hashing::new(function));
    let mut rest = plan.as_slice();
    while !rest.is_empty() {
        let n = window(rest);
        let (part, after) = rest.split_at(n);
        if !join_part(incoming, function, part, &here, &mut *writer, hashing.as_mut())? {
            return Ok(None);
        }
        rest = after;
    }
    let found = writer.finish()?;
    let is_right = match (ours, hashing.map(Hashing::finish)) {
        (Some(ours), _) => found == ours,
        (None, hashed) => hashed == Some(*theirs),
    };
    Ok(is_right.then_some(found))
}

/// Writes a range of chunks; `false` if one is unavailable.
fn join_part(
    incoming: &Incoming,
    function: DigestFunction,
    part: Plan<'_>,
    here: &BTreeMap<BlobDigest, Option<MappedFile>>,
    writer: &mut dyn BlobWriter,
    mut hashing: Option<&mut Hashing>,
) -> Result<bool, RemoteError> {
    let missing: BTreeSet<BlobDigest> =
        part.iter().filter(|(_, stretch)| stretch.is_none()).map(|(chunk, _)| *chunk).collect();
    let come = bring_chunks(incoming, function, missing)?;
    for (chunk, stretch) in part {
        let bytes = match stretch {
            Some(stretch) => bytes_of(here, stretch, chunk),
            None => come.get(chunk).map(Vec::as_slice),
        };
        let Some(bytes) = bytes else { return Ok(false) };
        if let Some(hashing) = &mut hashing {
            hashing.update(bytes);
        }
        writer.write_all(bytes).map_err(RemoteError::of_writer)?;
    }
    Ok(true)
}

/// Downloads and verifies chunks; leaves out unavailable ones.
fn bring_chunks(
    incoming: &Incoming,
    function: DigestFunction,
    mut missing: BTreeSet<BlobDigest>,
) -> Result<BTreeMap<BlobDigest, Vec<u8>>, RemoteError> {
    let mut come = BTreeMap::new();
    let largest = incoming.largest_in_batch()?;
    let small: Vec<BlobDigest> = missing.iter().copied().filter(|chunk| chunk.n_bytes <= largest).collect();
    if !small.is_empty() {
        for (chunk, bytes) in incoming.batch(&small)? {
            if function.digest(&bytes) == chunk && missing.remove(&chunk) {
                come.insert(chunk, bytes);
            }
        }
    }
    // Chunks missing from a batch are not requested one by one, because there may be very many.
    for chunk in missing.into_iter().filter(|chunk| chunk.n_bytes > largest) {
        match incoming.whole(function, &chunk) {
            Ok(Some(bytes)) => drop(come.insert(chunk, bytes)),
            // The blob may still be available as one stream.
            Ok(None) | Err(RemoteError::InvalidResponse { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(come)
}

/// Number of chunks to join at a time: as many as have missing bytes within one window, and at least one.
fn window(plan: Plan<'_>) -> usize {
    let mut n_bytes = 0;
    let fits = |(chunk, stretch): &&(BlobDigest, Option<ChunkRange>)| {
        n_bytes += if stretch.is_none() { chunk.n_bytes } else { 0 };
        n_bytes <= WINDOW
    };
    plan.iter().take_while(fits).count().max(1)
}

/// The bytes of a local chunk, unless its blob is gone or shorter than noted.
fn bytes_of<'a>(
    here: &'a BTreeMap<BlobDigest, Option<MappedFile>>,
    stretch: &ChunkRange,
    chunk: &BlobDigest,
) -> Option<&'a [u8]> {
    let blob = here.get(&stretch.blob)?.as_ref()?;
    let first = usize::try_from(stretch.first).ok()?;
    blob.get(first..first.checked_add(usize::try_from(chunk.n_bytes).ok()?)?)
}
