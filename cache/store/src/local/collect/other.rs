//! Contents of a store's folder that this crate does not interpret, such as fetched files.

use std::path::PathBuf;
use std::time::SystemTime;

/// Other contents of the store's folder that are removed together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Other {
    /// Paths below the store's folder, in order of removal.
    pub paths: Vec<PathBuf>,
    /// Their bytes.
    pub n_bytes: u64,
    /// The time of their last use.
    pub last_used: SystemTime,
    /// True if they are in use, and stay.
    pub is_kept: bool,
}
