//! A seam for tests: somebody who sees what is done to files below a folder.
//!
//! A recorder of operations can say in which states a disk may be found after a loss of power, and a test can go on from
//! each of them. Programs have no witness.

use std::fmt;
use std::fs::File;
use std::path::PathBuf;

/// An operation that succeeded. Paths are absolute if the first folder's was.
#[derive(Debug)]
pub enum Operation<'a> {
    /// A file was opened to be written, and made if it was not there. What is written to it is not shown.
    Opened {
        /// Its path.
        path: PathBuf,
        /// The file.
        file: &'a File,
    },
    /// A folder was made.
    FolderMade {
        /// Its path.
        path: PathBuf,
    },
    /// An entry was renamed; a file that had the new name is gone.
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
    /// An entry was removed, and all that was in it; or there was none.
    Removed {
        /// Its path.
        path: PathBuf,
    },
    /// A file was made durable, or the names in a folder.
    Synced {
        /// The file or the folder.
        file: &'a File,
    },
}

/// Somebody who sees operations.
pub trait FileObserver: fmt::Debug + Send + Sync {
    /// Sees an operation right after it was done.
    fn saw(&self, operation: &Operation<'_>);
}
