//! Errors of pinning and fetching.

use std::fmt;
use std::io;
use std::path::PathBuf;

use mc_fetch::error::FetchError;
use mc_fetch::lock_file::LOCK_FILE;
use mc_fetch::url::UrlError;
use mc_ir::origin::Origin;

use crate::store::StoreUnavailable;

/// Files of origins that cannot be pinned or fetched.
#[derive(Debug, thiserror::Error)]
pub enum FetchingError {
    /// The store cannot be opened.
    #[error(transparent)]
    Store(#[from] StoreUnavailable),
    /// `mc.lock` cannot be read.
    #[error("Cannot use `{LOCK_FILE}`")]
    LockFile {
        /// The file.
        path: PathBuf,
        /// The reason.
        reason: String,
    },
    /// `mc.lock` cannot be written.
    #[error("Cannot write `{path}`", path = path.display())]
    WriteLockFile {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// The URL of Hugging Face is invalid.
    #[error("Cannot use the URL of Hugging Face")]
    HuggingFace(#[source] UrlError),
    /// A server, a file or the network failed.
    #[error("Cannot {task}")]
    Task {
        /// The task that failed.
        task: Task,
        /// The reason.
        source: Box<FetchError>,
    },
    /// Files are missing, and offline mode is on.
    #[error("{} files are missing, and no server may be contacted", missing.len())]
    OfflineMissing {
        /// Origins, and names of files.
        missing: Vec<(Origin, String)>,
    },
    /// Origins are not pinned, and offline mode is on.
    #[error("{} origins must be pinned, and no server may be contacted", origins.len())]
    OfflineUnpinned {
        /// The origins.
        origins: Vec<Origin>,
    },
    /// Origins must be pinned first.
    #[error("{} origins are not in `{LOCK_FILE}`", origins.len())]
    Unpinned {
        /// The origins.
        origins: Vec<Origin>,
    },
    /// An origin cannot be pinned as declared.
    #[error("{message}")]
    PathError {
        /// The origin.
        origin: Origin,
        /// The reason.
        message: String,
        /// The text to declare instead, if the only problem is that the origin is mutable.
        now: Option<String>,
    },
}

/// A task that failed.
#[derive(Clone, Debug)]
pub enum Task {
    /// Use a proxy.
    Proxy,
    /// Read the fetched files.
    Read,
    /// Fetch the files of an origin.
    Fetch(Origin),
    /// Pin the files of an origin.
    Pin(Origin),
}

impl Task {
    /// The error for a failure of this task.
    pub fn failed(self, source: FetchError) -> FetchingError {
        FetchingError::Task { task: self, source: Box::new(source) }
    }
}

impl fmt::Display for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Proxy => f.write_str("use the proxy"),
            Self::Read => f.write_str("read the fetched files"),
            Self::Fetch(origin) => write!(f, "fetch {origin}"),
            Self::Pin(origin) => write!(f, "pin {origin}"),
        }
    }
}
