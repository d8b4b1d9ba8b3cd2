//! Paths of files that are named by a hash.

use std::path::{Path, PathBuf};

use mc_digest::digest::Digest;

/// `folder/ab/abcd…`: 256 folders keep each one small.
pub(crate) fn sharded(folder: &Path, hash: &Digest) -> PathBuf {
    let hex = hash.to_string();
    let mut path = folder.join(&hex[..2]);
    path.push(hex);
    path
}
