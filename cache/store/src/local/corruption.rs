//! Damage that was found in a store, kept until someone tells the user.

use mc_digest::digest::{ActionDigest, BlobDigest, Digest};
use std::fmt;
use std::path::PathBuf;

/// One damaged object. It is already out of the way: whoever needs it makes it anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Corruption {
    /// A blob's bytes did not match its hash.
    Blob {
        /// The hash that the bytes should have.
        expected: Digest,
        /// The digest that they have.
        found: BlobDigest,
        /// Where the bytes are now.
        quarantined: PathBuf,
    },
    /// An action result's checksum did not match. It was removed.
    Action {
        /// The action, by hash.
        action: Digest,
        /// Where the result was.
        path: PathBuf,
    },
}

impl Corruption {
    /// Whether this is the blob of that digest.
    pub fn is_blob(&self, digest: &BlobDigest) -> bool {
        matches!(self, Self::Blob { expected, .. } if *expected == digest.hash)
    }

    /// Whether this is the result of that action.
    pub fn is_action(&self, digest: &ActionDigest) -> bool {
        matches!(self, Self::Action { action, .. } if *action == digest.hash)
    }
}

impl fmt::Display for Corruption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Blob { expected, found, quarantined } => write!(
                f,
                "The stored blob `{expected}` has bytes with digest `{found}`; it was moved to `{}` and is \
                 made anew when it is needed",
                quarantined.display()
            ),
            Self::Action { action, path } => write!(
                f,
                "The stored result of action `{action}` at `{}` was damaged; it was removed and is made anew \
                 when it is needed",
                path.display()
            ),
        }
    }
}
