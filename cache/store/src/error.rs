//! Errors of the store, worded for the person who can fix them.

use mc_digest::digest::BlobDigest;
use mc_files::path_error::PathError;
use std::io;
use std::path::{Path, PathBuf};

/// A failure of the store. A missing blob or a damaged entry is not a failure: both are a miss.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The disk, or the user's quota on it, is full.
    #[error(
        "The disk is full: could not {action} `{path}`, which needs {needed} bytes or more; \
         free some space, or choose a folder on another disk with `--cache-dir`",
        path = path.display()
    )]
    DiskFull {
        /// The operation, as a verb.
        action: &'static str,
        /// The file that did not fit.
        path: PathBuf,
        /// The number of bytes known to be needed when the write failed.
        needed: u64,
    },
    /// A link or another unexpected kind of file is in the path.
    #[error("{0}")]
    PathError(PathError),
    /// An operation of the operating system failed.
    #[error("Could not {action} `{path}`: {source}{hint}", path = path.display(), hint = hint(source))]
    Io {
        /// The operation, as a verb.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The folder holds a store of another format.
    #[error(
        "`{path}` says that the store has format `{found}`, expected `{expected}`; \
         use the `mc` that wrote it, or choose another folder with `--cache-dir`",
        path = path.join("VERSION").display()
    )]
    UnknownVersion {
        /// The store's folder.
        path: PathBuf,
        /// The format of this program.
        expected: String,
        /// The first line of the store's `VERSION` file.
        found: String,
    },
    /// The folder holds something that is not a store.
    #[error(
        "The folder `{path}` is not a store: expected an empty folder or one with a `VERSION` file, \
         found `{found}`; choose another folder with `--cache-dir`",
        path = path.display()
    )]
    NotAStore {
        /// The folder.
        path: PathBuf,
        /// One of the entries found in it.
        found: String,
    },
    /// A blob of an output is not in the store.
    #[error(
        "The blob `{digest}`, a part of `{path}`, is not in the store; build again to recreate it",
        path = path.display()
    )]
    MissingBlob {
        /// The blob.
        digest: BlobDigest,
        /// The output that needs it.
        path: PathBuf,
    },
    /// A blob's bytes changed between verification and copy.
    #[error(
        "The blob `{expected}` had bytes with digest `{found}` when `{path}` was made from it; \
         build again to recreate it, and check the disk if this repeats",
        path = path.display()
    )]
    CorruptBlob {
        /// The expected digest.
        expected: BlobDigest,
        /// The digest found.
        found: BlobDigest,
        /// The output.
        path: PathBuf,
    },
    /// An output's name would leave its folder, or collides with another.
    #[error(
        "The output name `{path}` is {problem}; expected a relative path of plain names, each used once",
        path = path.display()
    )]
    InvalidOutputPath {
        /// The name.
        path: PathBuf,
        /// The problem.
        problem: &'static str,
    },
    /// An input file changed while it was hashed, so the digest would not belong to any state of the file.
    #[error("The file `{path}` changed while it was read; build again when it is complete", path = path.display())]
    ChangedWhileRead {
        /// The file.
        path: PathBuf,
    },
    /// A range of an input file does not lie inside it.
    #[error(
        "The range of {len} bytes at {offset} is not inside `{path}`, which has {n_bytes} bytes; \
         the file is truncated or its header is wrong",
        path = path.display()
    )]
    RangeOutside {
        /// The file.
        path: PathBuf,
        /// Start of the range.
        offset: u64,
        /// Length of the range.
        len: u64,
        /// Length of the file.
        n_bytes: u64,
    },
}

impl StoreError {
    /// Creates the error of a failed operation on `path`.
    pub fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self::io_needing(action, path, 0, source)
    }

    /// Creates the error of a failed write of a file that needs at least `needed` bytes.
    pub fn io_needing(action: &'static str, path: &Path, needed: u64, source: io::Error) -> Self {
        if let Some(refused) = PathError::of(&source) {
            return Self::PathError(refused.clone());
        }
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Self::DiskFull { action, path: path.to_owned(), needed }
            }
            _ => Self::Io { action, path: path.to_owned(), source },
        }
    }

    /// Extracts a store error from an error that a [`crate::traits::BlobWriter`] returned as [`io::Write`]; returns any
    /// other error as `Err`.
    pub fn from_writer(error: io::Error) -> Result<Self, io::Error> {
        error.downcast::<Self>()
    }

    /// Returns true if the cause is a missing file or folder.
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }

    /// Returns true if the cause is missing write permission.
    pub fn is_read_only(&self) -> bool {
        let refuses =
            |kind| matches!(kind, io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied);
        matches!(self, Self::Io { source, .. } if refuses(source.kind()))
    }

    /// Returns true if a blob is missing or was set aside as corrupt: the next build makes it again.
    pub fn is_lost_blob(&self) -> bool {
        matches!(self, Self::MissingBlob { .. } | Self::CorruptBlob { .. })
    }

    /// Returns true if the cause is a full disk.
    pub fn is_disk_full(&self) -> bool {
        matches!(self, Self::DiskFull { .. })
    }
}

impl From<StoreError> for io::Error {
    fn from(error: StoreError) -> Self {
        let kind = match &error {
            StoreError::DiskFull { .. } => io::ErrorKind::StorageFull,
            StoreError::Io { source, .. } => source.kind(),
            _ => io::ErrorKind::Other,
        };
        Self::new(kind, error)
    }
}

fn hint(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::PermissionDenied => "; check the permissions of the file and of its folder",
        io::ErrorKind::ReadOnlyFilesystem => "; choose a folder on a writable disk with `--cache-dir`",
        io::ErrorKind::FileTooLarge => {
            "; this process or the file system limits the size of files: raise the limit (`ulimit -f unlimited`), or \
             choose a folder on another disk with `--cache-dir`"
        }
        io::ErrorKind::CrossesDevices => "; the folder must not be a link to another disk",
        io::ErrorKind::NotFound => "; check that it exists and was not moved during the build",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_error_includes_help() {
        let full = io::Error::from_raw_os_error(28);
        let error = StoreError::io_needing("write", Path::new("/c/cas/ab/abcd"), 4096, full);
        assert_eq!(
            error.to_string(),
            "The disk is full: could not write `/c/cas/ab/abcd`, which needs 4096 bytes or more; \
             free some space, or choose a folder on another disk with `--cache-dir`"
        );
    }

    #[test]
    fn a_store_error_survives_conversion_through_a_writer() {
        let error = StoreError::ChangedWhileRead { path: "/a".into() };
        let through: io::Error = error.into();
        let back = StoreError::from_writer(through).unwrap();
        assert!(matches!(back, StoreError::ChangedWhileRead { .. }));
        assert!(StoreError::from_writer(io::Error::other("not ours")).is_err());
    }
}
