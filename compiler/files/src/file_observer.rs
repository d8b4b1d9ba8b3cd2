//! An interface for tests: receives every operation on files below a folder.
//!
//! A recording observer can list the states in which a power loss may leave the disk, and a test can continue from each
//! of them. Programs run without an observer.

use std::fmt;
use std::fs::File;
use std::path::PathBuf;

/// An operation that succeeded. Paths are absolute if the path of the first folder was.
#[derive(Debug)]
pub enum Operation<'a> {
    /// A file was opened for writing, and created if it did not exist. Writes to it are not reported.
    Opened {
        /// Its path.
        path: PathBuf,
        /// The file.
        file: &'a File,
    },
    /// A folder was created.
    FolderMade {
        /// Its path.
        path: PathBuf,
    },
    /// An entry was renamed; a file that already had the new name is gone.
    Renamed {
        /// Its path before.
        from: PathBuf,
        /// Its path now.
        to: PathBuf,
    },
    /// Two entries were swapped.
    Exchanged {
        /// The path of one.
        one: PathBuf,
        /// The path of the other.
        other: PathBuf,
    },
    /// An entry was removed with everything in it, or did not exist.
    Removed {
        /// Its path.
        path: PathBuf,
    },
    /// A file, or the entries of a folder, were made durable.
    Synced {
        /// The file or the folder.
        file: &'a File,
    },
}

/// Receives a call for every file operation.
pub trait FileObserver: fmt::Debug + Send + Sync {
    /// Called right after an operation succeeded.
    fn saw(&self, operation: &Operation<'_>);
}
