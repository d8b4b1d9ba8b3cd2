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
    /// The address of Hugging Face cannot be used.
    #[error("Cannot use the address of Hugging Face")]
    HuggingFace(#[source] UrlError),
    /// A server, a file or the network failed.
    #[error("Cannot {task}")]
    Task {
        /// The task that failed.
        task: Task,
        /// The reason.
        source: Box<FetchError>,
    },
    /// Files are missing, and no server may be asked.
    #[error("{} files are not here, and no server may be asked", missing.len())]
    OfflineMissing {
        /// Origins, and names of files.
        missing: Vec<(Origin, String)>,
    },
    /// Origins are not pinned, and no server may be asked.
    #[error("{} origins are to be pinned, and no server may be asked", origins.len())]
    OfflineUnpinned {
        /// The origins.
        origins: Vec<Origin>,
    },
    /// Origins have to be pinned first.
    #[error("{} origins are not in `{LOCK_FILE}`", origins.len())]
    Unpinned {
        /// The origins.
        origins: Vec<Origin>,
    },
    /// An origin cannot be pinned as it is declared.
    #[error("{message}")]
    PathError {
        /// The origin.
        origin: Origin,
        /// The reason.
        message: String,
        /// The text that the declaration would need, if the origin only moves.
        now: Option<String>,
    },
}

/// A task that can fail.
#[derive(Clone, Debug)]
pub enum Task {
    /// To use a proxy.
    Proxy,
    /// To read what was fetched before.
    Read,
    /// To fetch the files of an origin.
    Fetch(Origin),
    /// To pin the files of an origin.
    Pin(Origin),
}

impl Task {
    /// The error when it fails.
    pub fn failed(self, source: FetchError) -> FetchingError {
        FetchingError::Task { task: self, source: Box::new(source) }
    }
}

impl fmt::Display for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Proxy => f.write_str("use the proxy"),
            Self::Read => f.write_str("read what was fetched"),
            Self::Fetch(origin) => write!(f, "fetch {origin}"),
            Self::Pin(origin) => write!(f, "pin {origin}"),
        }
    }
}
