//! Records about servers from earlier runs, in files next to the store. All of them may be lost, which costs only time.

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

/// Records about blobs.
pub struct Notes {
    /// Their digests in another digest function.
    pub known: Known,
    /// Blobs that a server promised.
    pub promised: Promised,
    /// Their chunks.
    pub chunks: Chunks,
}

impl Notes {
    /// Opens the records in a folder.
    ///
    /// * `server`: identifies the server, the cache instance and the trusted keys; promises made under another identity
    ///   do not count
    pub fn open(folder: &Path, server: &str) -> Self {
        let server = &Digest::of(server.as_bytes()).to_string()[..16];
        Self {
            known: Known::open(&folder.join("sha256")),
            promised: Promised::open(Some(&folder.join(format!("promised-{server}")))),
            chunks: Chunks::open(Some(&folder.join("chunks"))),
        }
    }

    /// The local blob for a server digest, if known.
    pub(crate) fn here(&self, function: DigestFunction, theirs: &BlobDigest) -> Option<BlobDigest> {
        match function {
            DigestFunction::Blake3 => Some(*theirs),
            DigestFunction::Sha256 => self.known.ours(theirs),
        }
    }

    /// Records the server digest of a local blob.
    pub(crate) fn name(&self, function: DigestFunction, ours: BlobDigest, theirs: BlobDigest) {
        if function == DigestFunction::Sha256 {
            self.known.add(ours, theirs);
        }
    }
}
