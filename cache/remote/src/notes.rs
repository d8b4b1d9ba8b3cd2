//! What is known of servers from before, in files beside the store. All of it may be lost; that costs time.

pub mod chunks;
pub mod known;
pub mod promised;
mod records;

use std::path::Path;

use mc_digest::digest::{BlobDigest, Digest};

use crate::function::DigestFunction;
use crate::notes::chunks::Chunks;
use crate::notes::known::Known;
use crate::notes::promised::Promised;

/// Notes on blobs.
pub struct Notes {
    /// What they are called in another digest function.
    pub known: Known,
    /// Which of them a server has for us.
    pub promised: Promised,
    /// What they consist of.
    pub chunks: Chunks,
}

impl Notes {
    /// Those in a folder.
    ///
    /// * `server`: which one, which of its caches, and whose results count there; what was promised by another, or by
    ///   somebody who is not trusted any more, is no promise of it
    pub fn open(folder: &Path, server: &str) -> Self {
        let server = &Digest::of(server.as_bytes()).to_string()[..16];
        Self {
            known: Known::open(&folder.join("sha256")),
            promised: Promised::open(Some(&folder.join(format!("promised-{server}")))),
            chunks: Chunks::open(Some(&folder.join("chunks"))),
        }
    }

    /// The blob that is here under a name of the server, as far as that is known.
    pub(crate) fn here(&self, function: DigestFunction, theirs: &BlobDigest) -> Option<BlobDigest> {
        match function {
            DigestFunction::Blake3 => Some(*theirs),
            DigestFunction::Sha256 => self.known.ours(theirs),
        }
    }

    /// Takes note of the server's name of a blob of ours.
    pub(crate) fn name(&self, function: DigestFunction, ours: BlobDigest, theirs: BlobDigest) {
        if function == DigestFunction::Sha256 {
            self.known.add(ours, theirs);
        }
    }
}
