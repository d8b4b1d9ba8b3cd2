//! Outputs of actions: files and composites, identified by digest.

use std::collections::BTreeMap;

use mc_digest::digest::BlobDigest;

/// One output. Holds only digests; the bytes are in a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// One blob.
    File(BlobDigest),
    /// The concatenation of several blobs. Each blob is stored once, regardless of the number of files that contain it.
    Composite(Vec<BlobDigest>),
}

impl Output {
    /// The blobs, in order.
    pub fn parts(&self) -> &[BlobDigest] {
        match self {
            Self::File(blob) => std::slice::from_ref(blob),
            Self::Composite(parts) => parts,
        }
    }

    /// Number of bytes of the whole file. Saturates: no real file overflows the count, but a result from a cache may
    /// claim such sizes.
    pub fn n_bytes(&self) -> u64 {
        self.parts().iter().fold(0, |sum, part| sum.saturating_add(part.n_bytes))
    }
}

/// All outputs of an action by name. Names are relative paths with `/`.
pub type Outputs = BTreeMap<String, Output>;
