//! Blobs that a server promised and that were not fetched: what they are called here, and there.
//!
//! A result names its blobs in the server's digest function and says their BLAKE3 beside it. That is enough to go on
//! without them; but it is a claim, checked when the blob comes. Kept in files for each server, so that what was promised
//! yesterday need not be asked for today; one for each digest function, because a server may change its own.

use std::path::Path;

use mc_digest::digest::BlobDigest;

use crate::function::DigestFunction;
use crate::notes::known::Known;

/// What a server promised.
pub struct Promised {
    blake3: Known,
    sha256: Known,
}

impl Promised {
    /// What is in the files whose paths begin like this; without them, promises hold for this process.
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

    /// Takes note of a blob; `false` when too many are noted already.
    pub(crate) fn add(&self, function: DigestFunction, ours: BlobDigest, theirs: BlobDigest) -> bool {
        self.of(function).add(ours, theirs)
    }

    /// What the server calls a blob of ours that it promised.
    pub(crate) fn theirs(&self, function: DigestFunction, ours: &BlobDigest) -> Option<BlobDigest> {
        self.of(function).theirs(ours)
    }

    /// The same in a digest function or, where the server was not asked for its own yet, in either.
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
