//! What an action made: files and composites, known by digest.

use std::collections::BTreeMap;

use mc_digest::digest::BlobDigest;

/// One output. Its bytes lie in a store; here are only their digests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// One blob.
    File(BlobDigest),
    /// Blobs whose bytes, one after the other, are the file. Each is stored once, however many files hold it.
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

    /// Bytes of the whole file. More than can be counted are as many as can be: no file has so many, but a result of
    /// somebody else may say so.
    pub fn n_bytes(&self) -> u64 {
        self.parts().iter().fold(0, |sum, part| sum.saturating_add(part.n_bytes))
    }
}

/// All outputs of an action by name; names are relative paths with `/`.
pub type Outputs = BTreeMap<String, Output>;
