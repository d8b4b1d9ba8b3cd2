//! Hashes of objects in the store.

use clap_complete::engine::CompletionCandidate;
use mc_driver::inspect::object;

use crate::completion::context::Context;

/// Fewer digits match too many objects to be useful.
const MIN_DIGITS: usize = 2;

/// Maximum number of candidates.
const MAX_HASHES: usize = 100;

/// Hashes that begin with the current word.
pub(super) fn hashes(context: &Context, current: &str) -> Vec<CompletionCandidate> {
    let is_hash = current.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
    let store = context.options.store();
    // Opening a store creates its folder, but completing a word must not change anything.
    let is_there = store.dir().is_ok_and(std::path::Path::is_dir);
    if current.len() < MIN_DIGITS || !is_hash || !is_there {
        return Vec::new();
    }
    let Ok(store) = store.open() else { return Vec::new() };
    let hashes = object::hashes_from(&store, current, MAX_HASHES);
    hashes.into_iter().map(CompletionCandidate::new).collect()
}
