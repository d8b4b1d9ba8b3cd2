//! Keeps the store within the size that the workspace or the user sets.
//!
//! The store treats results as opaque bytes and knows blobs by hash; this module finds the blobs that a result names,
//! and adds the folders of fetched files.

use std::path::PathBuf;

use mc_digest::digest::Digest;
use mc_fetch::area::Area;
use mc_ir::reapi_result::decode_result;
use mc_store::local::collect::other::Other;
use mc_store::local::collect::{Collected, Collection, ReadBlob};
use mc_store::local::store::LocalStore;

use crate::event::{Event, EventSink};
use crate::fetching::error::Task;
use crate::fetching::lock_file::read_lock;
use crate::settings::store_limit::StoreLimit;
use crate::store::Store;
use crate::store_contents::ContentsError;
use crate::warning::Warning;

/// Removes the least recently used content until the store has at most the given size. Keeps everything that a running
/// process uses, that belongs to outputs in place, or that the workspace pins.
///
/// * `is_dry`: only counts what a real collection would remove
///
/// # Errors
/// If the store cannot be read, or something cannot be removed.
pub fn collect(store: &Store, limit: &StoreLimit, is_dry: bool) -> Result<Collected, ContentsError> {
    let store = store.open()?;
    let others = others(&store, limit)?;
    Ok(collect_from(&store, limit, others, is_dry)?)
}

/// Shrinks the store to its limit at the end of a command. A failure, or a store that stays larger, is only a warning,
/// because the command itself succeeded.
pub fn keep_within(store: &LocalStore, limit: &StoreLimit, events: &dyn EventSink) {
    match trim(store, limit) {
        Ok(None) => {}
        Ok(Some(collected)) => {
            if collected.n_bytes_removed() > 0 {
                events.event(Event::StoreTrimmed { collected });
            }
            if collected.n_bytes_after > limit.max_bytes {
                let (n_bytes, max_bytes) = (collected.n_bytes_after, limit.max_bytes);
                events.event(Event::Warning(&Warning::StoreTooLarge { n_bytes, max_bytes }));
            }
        }
        Err(error) => {
            let mut reason = error.to_string();
            if let Some(source) = std::error::Error::source(&error) {
                reason = format!("{reason}: {source}");
            }
            events.event(Event::Warning(&Warning::StoreNotTrimmed { reason }));
        }
    }
}

/// Shrinks a store to its limit after a command has written to it; `None` if it was within the limit.
///
/// # Errors
/// As [`collect`].
fn trim(store: &LocalStore, limit: &StoreLimit) -> Result<Option<Collected>, ContentsError> {
    if !store.is_used() {
        return Ok(None);
    }
    let others = others(store, limit)?;
    if store.n_bytes_held(&others)? <= limit.max_bytes {
        return Ok(None);
    }
    Ok(Some(collect_from(store, limit, others, false)?))
}

fn collect_from(
    store: &LocalStore,
    limit: &StoreLimit,
    others: Vec<Other>,
    is_dry: bool,
) -> Result<Collected, mc_store::error::StoreError> {
    store.collect(&Collection { max_bytes: limit.max_bytes, blobs_of: &blobs_of, others, is_dry })
}

/// The blobs that a result names, and those of the trees in it.
fn blobs_of(result: &[u8], read: &mut ReadBlob<'_>) -> Option<Vec<Digest>> {
    let mut blobs = Vec::new();
    let outputs = decode_result(result, &mut |tree| {
        blobs.push(tree.hash);
        read(tree)
    });
    blobs.extend(outputs.ok()?.values().flat_map(|output| output.parts()).map(|part| part.hash));
    Some(blobs)
}

/// The folders of fetched files.
fn others(store: &LocalStore, limit: &StoreLimit) -> Result<Vec<Other>, ContentsError> {
    let area = Area::new(store.root());
    let pinned: Vec<PathBuf> = match &limit.workspace {
        // A command that needs the lock file reports the error if it cannot be read.
        Some(workspace) => {
            let lock = read_lock(workspace).unwrap_or_default();
            lock.entries.iter().map(|(origin, files)| area.folder(origin, files)).collect()
        }
        None => Vec::new(),
    };
    let folders = area.folders().map_err(|error| Task::Read.failed(error))?;
    let other = |folder: mc_fetch::inventory::FetchedFolder| Other {
        is_kept: pinned.contains(&folder.folder),
        paths: folder.paths,
        n_bytes: folder.n_bytes,
        last_used: folder.last_used,
    };
    Ok(folders.into_iter().map(other).collect())
}
