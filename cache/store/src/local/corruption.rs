//! Damage that was found in a store, kept until someone tells the user.

use std::fmt;
use std::path::PathBuf;

use mc_digest::digest::{ActionDigest, BlobDigest, Digest};
use mc_files::status::Kind;

/// One damaged object. It is already out of the way: whoever needs it makes it anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Corruption {
    /// A file that has a blob's name is not the blob.
    Blob {
        /// The hash that its bytes should have.
        expected: Digest,
        /// Kind of the damage.
        damage: Damage,
        /// Its path now; `None` if it cannot be moved, because the store is read-only.
        quarantined: Option<PathBuf>,
    },
    /// An action result's checksum did not match. It was removed.
    Action {
        /// The action, by hash.
        action: Digest,
        /// Where the result was.
        path: PathBuf,
    },
}

/// Damage of a blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Damage {
    /// Its bytes have this digest instead.
    Bytes(BlobDigest),
    /// It has this many bytes, and the blob has another number.
    Size(u64),
    /// The disk cannot read its bytes.
    Unreadable,
    /// It is not a regular file.
    Kind(Kind),
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes(found) => write!(f, "has bytes with digest `{found}`"),
            Self::Size(n_bytes) => write!(f, "has a file of {n_bytes} bytes, which is not its size"),
            Self::Unreadable => f.write_str("cannot be read from the disk"),
            Self::Kind(kind) => write!(f, "is {kind}"),
        }
    }
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
            Self::Blob { expected, damage, quarantined: Some(path) } => write!(
                f,
                "The stored blob `{expected}` {damage}; it was moved to `{}` and is made anew when it is needed",
                path.display()
            ),
            Self::Blob { expected, damage, quarantined: None } => write!(
                f,
                "The stored blob `{expected}` {damage}; it stays, because the store is read-only, and is not used"
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
