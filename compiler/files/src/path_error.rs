//! Reasons to refuse a file that the system would open.

use std::io;
use std::path::PathBuf;

use crate::status::Kind;

/// A refused file or folder. It is wrapped in an [`io::Error`]; see [`PathError::of`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// A part of a path is a symbolic link.
    #[error(
        "`{path}` is a symbolic link to `{target}`, expected {expected} in its place, because a link could lead \
         outside; remove the link, then try again",
        path = path.display(), target = target.display()
    )]
    Link {
        /// The link.
        path: PathBuf,
        /// The link's target, as stored in the link.
        target: PathBuf,
        /// The expected kind of entry: `a folder` or `a file`.
        expected: &'static str,
    },
    /// Something other than a regular file has the name.
    #[error("`{path}` is {found}, expected a regular file", path = path.display())]
    NotRegular {
        /// The path.
        path: PathBuf,
        /// The kind found.
        found: Kind,
    },
    /// The file is larger than the limit for its purpose.
    #[error("`{path}` has more than {limit} bytes, the limit for a file of its kind", path = path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The limit in bytes.
        limit: u64,
    },
    /// The path does not consist of plain names below a folder.
    #[error("The path `{path}` is not below its folder, expected plain names", path = path.display())]
    NotBelow {
        /// The path.
        path: PathBuf,
    },
}

impl PathError {
    /// Returns the refusal wrapped in an error, or `None` for an error of the system.
    pub fn of(error: &io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }
}

impl From<PathError> for io::Error {
    fn from(refused: PathError) -> Self {
        let kind = match refused {
            PathError::TooLarge { .. } => io::ErrorKind::FileTooLarge,
            _ => io::ErrorKind::InvalidInput,
        };
        Self::new(kind, refused)
    }
}
