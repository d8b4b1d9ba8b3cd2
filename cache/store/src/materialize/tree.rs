//! Names for what is to be materialized, and where.

use std::collections::BTreeSet;
use std::path::{Component, Path};

use mc_digest::digest::{BlobDigest, Digest};

use crate::error::StoreError;

/// A file to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TreeFile {
    /// Where, relative to the folder, with `/`.
    pub path: String,
    /// The blobs whose bytes follow each other in it.
    pub parts: Vec<BlobDigest>,
}

/// A folder to be made.
#[derive(Clone, Copy, Debug)]
pub struct Tree<'a> {
    /// Where, relative to the folder of all outputs.
    pub folder: &'a Path,
    /// Exactly the files that it will hold, beside folders of other trees.
    pub files: &'a [TreeFile],
    /// The action results that the files came of, directly or not, sorted: they stay in the store as long as the folder
    /// is there, so that another build of it is all hits.
    pub results: &'a [Digest],
}

/// The folder of all outputs.
#[derive(Clone, Copy, Debug)]
pub struct Destination<'a> {
    /// A folder that the user named. Below it no link is followed.
    pub base: &'a Path,
    /// The folder of all outputs, relative to the base, in which unfinished files may be kept when the store is on
    /// another file system.
    pub root: &'a Path,
}

/// What became of a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Materialized {
    /// It was as it should be.
    Unchanged,
    /// It was made.
    Written,
}

/// Refuses names that leave the folder or stand for two files.
pub(crate) fn check_paths(files: &[TreeFile]) -> Result<(), StoreError> {
    let mut seen = BTreeSet::new();
    for file in files {
        let path = Path::new(&file.path);
        let is_plain = path.components().all(|component| matches!(component, Component::Normal(_)));
        let problem = match () {
            () if file.path.is_empty() => "empty",
            () if !is_plain => "not below its folder",
            () if !seen.insert(path) => "used twice",
            () => continue,
        };
        return Err(StoreError::InvalidOutputPath { path: path.to_owned(), problem });
    }
    Ok(())
}
