//! Where files come from: the only way of this crate to the disk, so that tests can edit files in memory.
//!
//! Paths are relative to the workspace's root, with `/` between the parts; the empty path is the root itself. Whoever
//! calls has made sure that no path leaves the workspace by its parts ([`crate::path`]); links may lead out of it, which
//! [`crate::outside`] refuses unless the workspace permits it.

use std::path::PathBuf;

use mc_ir::origin::Origin;
use mc_ir::rule::SourceError;

/// What a file system knows about a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stat {
    /// Whether it is a folder; otherwise it is a file.
    pub is_folder: bool,
    /// Length of the file; 0 for a folder.
    pub n_bytes: u64,
    /// What changes whenever the bytes do; `None` when equal stamps would prove nothing, as for a file that was
    /// written within the clock's precision.
    pub stamp: Option<Stamp>,
}

/// Device, inode, length, and times of the last change of bytes and of metadata, in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp(pub [u128; 5]);

/// One name in a folder.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// The name, without the folder; of one that is not UTF-8, each wrong part as `U+FFFD`.
    pub name: String,
    /// A name that is not UTF-8 with its wrong bytes as `\xE9`, for messages. No declaration can name such a file.
    pub not_utf8: Option<String>,
    /// Whether it is a folder, or a link to one.
    pub is_folder: bool,
    /// Whether it is a link; walks do not follow links to folders, which might lead in a circle.
    pub is_link: bool,
}

/// A link on a path that leads out of the workspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outside {
    /// The link, relative to the workspace.
    pub link: String,
    /// The link's target, as it is written in the link.
    pub target: String,
    /// The path that the link leads to, without any link on the way.
    pub resolved: PathBuf,
}

/// A tree of files.
pub trait FileSystem: Send + Sync {
    /// What is at a path; links are followed.
    ///
    /// # Errors
    /// [`SourceError`] when nothing is there, or it cannot be looked at.
    fn stat(&self, path: &str) -> Result<Stat, SourceError>;

    /// The links on a path that lead out of the workspace, in the order of the path.
    ///
    /// # Errors
    /// [`SourceError`] when a link on it leads to nothing, or in a circle.
    fn outside(&self, path: &str) -> Result<Vec<Outside>, SourceError> {
        // Most trees have no links.
        let _ = path;
        Ok(Vec::new())
    }

    /// The first bytes of a file: `n_bytes` of them, or all when it is shorter.
    ///
    /// # Errors
    /// [`SourceError`] when it is no file or cannot be read.
    fn read_start(&self, path: &str, n_bytes: u64) -> Result<Vec<u8>, SourceError>;

    /// The names in a folder, sorted, also those that are not UTF-8: whoever needs such a file says so.
    ///
    /// # Errors
    /// [`SourceError`] when it is no folder or cannot be read.
    fn list(&self, folder: &str) -> Result<Vec<Entry>, SourceError>;

    /// The folder that the files of an origin were fetched to, as an absolute path, which the functions above take
    /// beside those below the workspace.
    ///
    /// # Errors
    /// [`SourceError`] when they are not here; nothing is fetched.
    fn fetched(&self, origin: &Origin) -> Result<String, SourceError> {
        let message = format!("{origin} is not fetched");
        Err(SourceError { path: String::new(), message, is_missing: true, help: None })
    }
}

/// Something that is not where a declaration says.
pub(crate) fn missing(path: &str) -> SourceError {
    SourceError {
        path: path.to_owned(),
        message: format!("`{}` does not exist", shown(path)),
        is_missing: true,
        help: None,
    }
}

/// A file that somebody needs and whose name is not UTF-8.
pub(crate) fn not_utf8(path: &str) -> SourceError {
    unusable(path, "has a name that is not UTF-8, so that nothing can refer to it; rename it")
}

/// Something that is there but is of no use.
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
