//! What can go wrong while files are fetched, told to the person who can do something about it.
//!
//! No message holds a header that was sent, or the query of an address.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::url::{Url, UrlError};

/// A failure to bring files here.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The server wants to know who asks, or does not let this one in.
    #[error("`{url}` refused access (status {status}){said}", said = said(message))]
    Denied {
        /// What was asked for.
        url: Url,
        /// 401 or 403.
        status: u16,
        /// What the server said about it.
        message: String,
    },
    /// There is no such thing.
    #[error("`{url}` does not exist (status {status}){said}", said = said(message))]
    Missing {
        /// What was asked for.
        url: Url,
        /// 404 or 410.
        status: u16,
        /// What the server said about it.
        message: String,
    },
    /// The server takes no such long request.
    #[error("`{url}` is refused as too large (status 413){said}", said = said(message))]
    TooLarge {
        /// Where it was sent.
        url: Url,
        /// What the server said about it.
        message: String,
    },
    /// The server answered in a way that cannot be used.
    #[error("`{url}` answered with status {status}, expected {expected}{said}", said = said(message))]
    Status {
        /// What was asked for.
        url: Url,
        /// What it answered.
        status: u16,
        /// What was expected.
        expected: &'static str,
        /// What the server said about it.
        message: String,
    },
    /// The server asks for more patience than there is.
    #[error("`{url}` asks to wait for {} s, and at most {} s are waited; try again later", seconds.as_secs(), limit.as_secs())]
    Busy {
        /// What was asked for.
        url: Url,
        /// How long it asks to wait.
        seconds: Duration,
        /// How long anybody waits.
        limit: Duration,
    },
    /// The connection failed, or nothing came for too long.
    #[error("`{url}` cannot be read: {reason}")]
    Connection {
        /// What was asked for.
        url: Url,
        /// What happened.
        reason: String,
        /// Whether another try may help.
        is_passing: bool,
    },
    /// A redirect that is not followed.
    #[error("`{url}` redirects {what}")]
    Redirect {
        /// Who redirects.
        url: Url,
        /// Where to, and why nobody goes there.
        what: String,
    },
    /// An answer that contradicts itself, the request, or what is pinned.
    #[error("`{url}` {what}")]
    InvalidResponse {
        /// What was asked for.
        url: Url,
        /// What was expected and what was found.
        what: String,
    },
    /// The bytes are other ones than those that are pinned.
    #[error(
        "`{file}` of {origin} has other bytes than expected: expected {expected}, found {found}; nothing of it was kept"
    )]
    Differs {
        /// Where it came from.
        origin: String,
        /// The file.
        file: String,
        /// What was expected.
        expected: String,
        /// What was found.
        found: String,
    },
    /// The list of files cannot be used.
    #[error("{origin}: {what}")]
    Listing {
        /// Where it came from.
        origin: String,
        /// What was expected and what was found.
        what: String,
    },
    /// An address cannot be used.
    #[error("{origin}: {source}")]
    Url {
        /// Where it stands.
        origin: String,
        /// What is wrong with it.
        source: UrlError,
    },
    /// A credential helper failed.
    #[error("The credential helper `{helper}` {what}", helper = helper.display())]
    Helper {
        /// The program.
        helper: PathBuf,
        /// What it did.
        what: String,
    },
    /// The disk, or the user's quota on it, is full.
    #[error(
        "The disk is full: could not write `{path}`, of which {written} bytes are there; free some space and run it \
         again, which goes on from there, or choose a folder on another disk with `--cache-dir`",
        path = path.display()
    )]
    DiskFull {
        /// The file that did not fit.
        path: PathBuf,
        /// How much of it did.
        written: u64,
    },
    /// The operating system refused.
    #[error("Could not {action} `{path}`: {source}", path = path.display())]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
}

impl FetchError {
    /// An error of the file system.
    pub(crate) fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                let written = std::fs::metadata(path).map_or(0, |metadata| metadata.len());
                Self::DiskFull { path: path.to_owned(), written }
            }
            _ => Self::Io { action, path: path.to_owned(), source },
        }
    }

    /// What to do about it, where that is known.
    pub fn help(&self) -> Option<String> {
        match self {
            Self::Denied { url, .. } if !url.is_private() => Some(
                "Nothing secret is sent over plain `http`; use `https`, or ask the server's owner for it"
                    .to_owned(),
            ),
            Self::Denied { .. } => Some(
                "For Hugging Face accept the model's terms and set `HF_TOKEN`; for other servers use \
                 `--credential-helper PROGRAM` or `~/.netrc`, for registries also `docker login`"
                    .to_owned(),
            ),
            Self::TooLarge { .. } => Some(
                "Whoever runs the server can raise its limit, which nginx calls `client_max_body_size`"
                    .to_owned(),
            ),
            Self::Differs { .. } => Some(
                "If the source was changed with good reason, `mc lock --update` pins what is there now; \
                 otherwise somebody else's bytes arrived"
                    .to_owned(),
            ),
            _ => None,
        }
    }
}

fn said(message: &str) -> String {
    if message.is_empty() { String::new() } else { format!(": {message}") }
}
