//! Errors while fetching files, worded for the person who can fix them.
//!
//! No message contains a request header or the query of an address.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::url::{Url, UrlError};

/// A failed fetch.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The server requires credentials, or refuses those that it received.
    #[error("`{url}` refused access (status {status}){said}", said = said(message))]
    Denied {
        /// The requested address.
        url: Url,
        /// 401 or 403.
        status: u16,
        /// The server's explanation.
        message: String,
    },
    /// Nothing exists at the address.
    #[error("`{url}` does not exist (status {status}){said}", said = said(message))]
    Missing {
        /// The requested address.
        url: Url,
        /// 404 or 410.
        status: u16,
        /// The server's explanation.
        message: String,
    },
    /// The server does not accept a request of this size.
    #[error("`{url}` refused the request as too large (status 413){said}", said = said(message))]
    TooLarge {
        /// The destination.
        url: Url,
        /// The server's explanation.
        message: String,
    },
    /// The server answered with an unexpected status.
    #[error("`{url}` answered with status {status}, expected {expected}{said}", said = said(message))]
    Status {
        /// The requested address.
        url: Url,
        /// The status.
        status: u16,
        /// The expected status.
        expected: &'static str,
        /// The server's explanation.
        message: String,
    },
    /// The server requests a longer wait than the limit.
    #[error("`{url}` asks to wait for {} s, but the limit is {} s; try again later", seconds.as_secs(), limit.as_secs())]
    Busy {
        /// The requested address.
        url: Url,
        /// Wait that the server requests.
        seconds: Duration,
        /// Longest wait.
        limit: Duration,
    },
    /// The connection failed or timed out.
    #[error("`{url}` cannot be read: {reason}")]
    Connection {
        /// The requested address.
        url: Url,
        /// The reason.
        reason: String,
        /// True if a retry may help.
        is_passing: bool,
    },
    /// A redirect that `mc` does not follow.
    #[error("`{url}` redirects {what}")]
    Redirect {
        /// The redirecting address.
        url: Url,
        /// The target and the reason for the refusal.
        what: String,
    },
    /// A response that contradicts itself, the request, or the pins.
    #[error("`{url}` {what}")]
    InvalidResponse {
        /// The requested address.
        url: Url,
        /// The expected and the found value.
        what: String,
    },
    /// The bytes differ from the pinned ones.
    #[error(
        "`{file}` of {origin} has other bytes than expected: expected {expected}, found {found}; nothing of it was kept"
    )]
    Differs {
        /// The origin.
        origin: String,
        /// The file.
        file: String,
        /// The expected digest.
        expected: String,
        /// The digest found.
        found: String,
    },
    /// A list of files cannot be used.
    #[error("{origin}: {what}")]
    Listing {
        /// The origin.
        origin: String,
        /// The expected and the found value.
        what: String,
    },
    /// An address cannot be used.
    #[error("{origin}: {source}")]
    Url {
        /// The origin.
        origin: String,
        /// The problem.
        source: UrlError,
    },
    /// A credential helper failed.
    #[error("The credential helper `{helper}` {what}", helper = helper.display())]
    Helper {
        /// The program.
        helper: PathBuf,
        /// The failure.
        what: String,
    },
    /// The disk, or the user's quota on it, is full.
    #[error(
        "The disk is full: could not write `{path}` beyond {written} bytes; free some space and run it again, \
         which resumes the download, or choose a folder on another disk with `--cache-dir`",
        path = path.display()
    )]
    DiskFull {
        /// The incomplete file.
        path: PathBuf,
        /// Number of bytes written.
        written: u64,
    },
    /// An operation of the operating system failed.
    #[error("Could not {action} `{path}`: {source}", path = path.display())]
    Io {
        /// The operation, as a verb.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
}

impl FetchError {
    /// Creates a file system error.
    pub(crate) fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                let written = std::fs::metadata(path).map_or(0, |metadata| metadata.len());
                Self::DiskFull { path: path.to_owned(), written }
            }
            _ => Self::Io { action, path: path.to_owned(), source },
        }
    }

    /// Advice, if there is any.
    pub fn help(&self) -> Option<String> {
        match self {
            Self::Denied { url, .. } if !url.is_private() => Some(
                "Secrets are not sent over plain `http`; use `https`, or ask the server's owner for it"
                    .to_owned(),
            ),
            Self::Denied { .. } => Some(
                "For Hugging Face accept the model's terms and set `HF_TOKEN`; for other servers use \
                 `--credential-helper PROGRAM` or `~/.netrc`, for registries also `docker login`"
                    .to_owned(),
            ),
            Self::TooLarge { .. } => {
                Some("The server's operator can raise its limit (nginx: `client_max_body_size`)".to_owned())
            }
            Self::Differs { .. } => Some(
                "If the source was changed intentionally, `mc lock --update` pins the current files; \
                 otherwise do not trust these bytes"
                    .to_owned(),
            ),
            _ => None,
        }
    }
}

fn said(message: &str) -> String {
    if message.is_empty() { String::new() } else { format!(": {message}") }
}
