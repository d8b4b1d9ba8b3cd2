//! Blobs that a server promised and that were not fetched: their local and their server digests.
//!
//! A result names its blobs by server digest and claims their BLAKE3 digests. The claim suffices to continue without
//! the blobs; it is verified when a blob is downloaded. Promises are kept in files per server, so that yesterday's
//! promises need no new requests; one file per digest function, because a server may change its own.

use std::path::Path;

use mc_digest::digest::BlobDigest;

use crate::function::DigestFunction;
use crate::notes::known::Known;

/// Blobs that a server promised.
pub struct Promised {
    blake3: Known,
    sha256: Known,
}

impl Promised {
    /// Opens the files with this path prefix; without a path, promises last for this process.
    pub fn open(path: Option<&Path>) -> Self {
        let open = |function: &str| {
            path.map_or_else(Known::nothing, |path| {
                let mut path = path.as_os_str().to_owned();
                path.push(format!("-{function}"));
                Known::open(Path::new(&path))
            })
        };
        Self { blake3: open("blake3"), sha256: open("sha256") }
    }

    /// Records a promise; `false` if the limit is reached.
    pub(crate) fn add(&self, function: DigestFunction, ours: BlobDigest, theirs: BlobDigest) -> bool {
        self.of(function).add(ours, theirs)
    }

    /// The server digest of a promised blob.
    pub(crate) fn theirs(&self, function: DigestFunction, ours: &BlobDigest) -> Option<BlobDigest> {
        self.of(function).theirs(ours)
    }

    /// Same as [`Self::theirs`], in a given digest function, or in either if the server's function is not known yet.
    pub(crate) fn theirs_in(
        &self,
        function: Option<DigestFunction>,
        ours: &BlobDigest,
    ) -> Option<BlobDigest> {
        match function {
            Some(function) => self.theirs(function, ours),
            None => {
                let in_blake3 = self.theirs(DigestFunction::Blake3, ours);
                in_blake3.or_else(|| self.theirs(DigestFunction::Sha256, ours))
            }
        }
    }

    fn of(&self, function: DigestFunction) -> &Known {
        match function {
            DigestFunction::Blake3 => &self.blake3,
            DigestFunction::Sha256 => &self.sha256,
        }
    }
}
