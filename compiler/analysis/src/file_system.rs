//! File access: the only way in which this crate reads the disk, so that tests can use files in memory.
//!
//! Paths are relative to the workspace's root, with `/` separators; the empty path is the root itself. The caller makes
//! sure that no path leaves the workspace through its components ([`crate::path`]). Links may lead out of the
//! workspace; `outside` refuses that unless the workspace permits it.

use std::path::PathBuf;

use mc_ir::origin::Origin;
use mc_ir::rule::SourceError;

/// Metadata of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stat {
    /// True for a folder, false for a file.
    pub is_folder: bool,
    /// Length of the file; 0 for a folder.
    pub n_bytes: u64,
    /// A value that changes whenever the bytes do. `None` if equal stamps would prove nothing, as for a file that was
    /// written within the clock's precision.
    pub stamp: Option<Stamp>,
}

/// Device, inode, length, and times of the last change of bytes and of metadata, in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp(pub [u128; 5]);

/// One name in a folder.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// The name, without the folder. In a name that is not UTF-8, each invalid part is `U+FFFD`.
    pub name: String,
    /// For a name that is not UTF-8: the name with its invalid bytes as `\xE9`, for messages. No declaration can refer
    /// to such a file.
    pub not_utf8: Option<String>,
    /// True for a folder, or a link to one.
    pub is_folder: bool,
    /// True for a link. Walks do not follow links to folders, which might form a cycle.
    pub is_link: bool,
}

/// A link on a path that leads out of the workspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outside {
    /// The link, relative to the workspace.
    pub link: String,
    /// The link's target, as it is written in the link.
    pub target: String,
    /// The final target, with all links resolved.
    pub resolved: PathBuf,
}

/// A tree of files.
pub trait FileSystem: Send + Sync {
    /// Returns the metadata of a path; follows links.
    ///
    /// # Errors
    /// [`SourceError`] if the path does not exist or cannot be inspected.
    fn stat(&self, path: &str) -> Result<Stat, SourceError>;

    /// Returns the links on a path that lead out of the workspace, in the order of the path.
    ///
    /// # Errors
    /// [`SourceError`] if one of the links is dangling or part of a cycle.
    fn outside(&self, path: &str) -> Result<Vec<Outside>, SourceError> {
        // Most trees have no links.
        let _ = path;
        Ok(Vec::new())
    }

    /// Returns the first `n_bytes` bytes of a file, or all bytes of a shorter file.
    ///
    /// # Errors
    /// [`SourceError`] if the path is not a file or cannot be read.
    fn read_start(&self, path: &str, n_bytes: u64) -> Result<Vec<u8>, SourceError>;

    /// Returns the names in a folder, sorted. Names that are not UTF-8 are included; the caller reports those that it
    /// needs.
    ///
    /// # Errors
    /// [`SourceError`] if the path is not a folder or cannot be read.
    fn list(&self, folder: &str) -> Result<Vec<Entry>, SourceError>;

    /// Returns the folder with the fetched files of an origin as an absolute path. The functions above accept such
    /// paths beside those below the workspace.
    ///
    /// # Errors
    /// [`SourceError`] if the files are not present; nothing is downloaded.
    fn fetched(&self, origin: &Origin) -> Result<String, SourceError> {
        let message = format!("{origin} is not fetched");
        Err(SourceError { path: String::new(), message, is_missing: true, help: None })
    }
}

/// The error for a path that does not exist.
pub(crate) fn missing(path: &str) -> SourceError {
    SourceError {
        path: path.to_owned(),
        message: format!("`{}` does not exist", shown(path)),
        is_missing: true,
        help: None,
    }
}

/// The error for a needed file whose name is not UTF-8.
pub(crate) fn not_utf8(path: &str) -> SourceError {
    unusable(path, "has a name that is not UTF-8, so that nothing can refer to it; rename it")
}

/// The error for a file or folder that exists but cannot be used.
pub(crate) fn unusable(path: &str, what: &str) -> SourceError {
    SourceError {
        path: path.to_owned(),
        message: format!("`{}` {what}", shown(path)),
        is_missing: false,
        help: None,
    }
}

fn shown(path: &str) -> &str {
    if path.is_empty() { "." } else { path }
}
