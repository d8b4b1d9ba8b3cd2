//! Blobs that a server promised and that were not fetched: what they are called here, and there.
//!
//! A result names its blobs in the server's digest function and says their BLAKE3 beside it. That is enough to go on
//! without them; but it is a claim, checked when the blob comes. Kept in a file for each server, so that what was
//! promised yesterday need not be asked for today.

use std::path::Path;

use mc_digest::digest::BlobDigest;

use crate::known::Known;

/// What a server promised.
pub struct Promised {
    pairs: Known,
}

impl Promised {
    /// What is in the file; without one, promises hold for this process.
    pub fn open(path: Option<&Path>) -> Self {
        Self { pairs: path.map_or_else(Known::nothing, Known::open) }
    }

    /// Takes note of a blob.
    pub(crate) fn add(&self, ours: BlobDigest, theirs: BlobDigest) {
        self.pairs.add(ours, theirs);
    }

    /// What the server calls a blob of ours that it promised.
    pub(crate) fn theirs(&self, ours: &BlobDigest) -> Option<BlobDigest> {
        self.pairs.theirs(ours)
    }
}
