//! Types for trees to materialize and their destination.

use std::collections::BTreeSet;
use std::path::{Component, Path};

use mc_digest::digest::{BlobDigest, Digest};

use crate::error::StoreError;

/// A file to create.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TreeFile {
    /// Its path relative to the folder, with `/`.
    pub path: String,
    /// The blobs whose concatenated bytes it contains.
    pub parts: Vec<BlobDigest>,
}

/// A folder to create.
#[derive(Clone, Copy, Debug)]
pub struct Tree<'a> {
    /// Its path relative to the folder of all outputs.
    pub folder: &'a Path,
    /// All files that it will hold, apart from folders of other trees.
    pub files: &'a [TreeFile],
    /// The action results behind the files, direct or not, sorted. They stay in the store as long as the folder exists,
    /// so that building it again is all hits.
    pub results: &'a [Digest],
}

/// The folder of all outputs.
#[derive(Clone, Copy, Debug)]
pub struct Destination<'a> {
    /// A folder that the user named. No link below it is followed.
    pub base: &'a Path,
    /// The folder of all outputs, relative to the base. It may hold unfinished files if the store is on another file
    /// system.
    pub root: &'a Path,
}

/// Outcome for a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Materialized {
    /// It was up to date.
    Unchanged,
    /// It was written.
    Written,
}

/// Rejects paths that leave the folder or are used twice.
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
