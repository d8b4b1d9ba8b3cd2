//! Damage found in a store, kept until it is reported to the user.

use std::fmt;
use std::path::PathBuf;

use mc_digest::digest::{ActionDigest, BlobDigest, Digest};
use mc_files::status::Kind;

/// A damaged object. It was already set aside or removed, and is made again when needed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Corruption {
    /// A file with a blob's name has other bytes.
    Blob {
        /// The expected hash.
        expected: Digest,
        /// Kind of the damage.
        damage: Damage,
        /// Its current path; `None` if it could not be moved because the store is read-only.
        quarantined: Option<PathBuf>,
    },
    /// An action result's checksum did not match. It was removed.
    Action {
        /// The action, by hash.
        action: Digest,
        /// Former path of the result.
        path: PathBuf,
    },
}

/// Damage of a blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Damage {
    /// Its bytes have this other digest.
    Bytes(BlobDigest),
    /// Its size is this many bytes, which differs from the digest's size.
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
    /// Returns true if the damage is in the blob with that digest.
    pub fn is_blob(&self, digest: &BlobDigest) -> bool {
        matches!(self, Self::Blob { expected, .. } if *expected == digest.hash)
    }

    /// Returns true if the damage is in the result of that action.
    pub fn is_action(&self, digest: &ActionDigest) -> bool {
        matches!(self, Self::Action { action, .. } if *action == digest.hash)
    }
}

impl fmt::Display for Corruption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Blob { expected, damage, quarantined: Some(path) } => write!(
                f,
                "The stored blob `{expected}` {damage}; it was moved to `{}` and will be recreated when needed",
                path.display()
            ),
            Self::Blob { expected, damage, quarantined: None } => write!(
                f,
                "The stored blob `{expected}` {damage}; it stays in the read-only store, and is not used"
            ),
            Self::Action { action, path } => write!(
                f,
                "The stored result of action `{action}` at `{}` was damaged; it was removed and will be \
                 recreated when needed",
                path.display()
            ),
        }
    }
}
