//! Errors of the remote cache.

use std::io;

use mc_fetch::error::FetchError;
use mc_store::error::StoreError;

/// A failure of the server, the connection, or this machine.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    /// An address that does not name a supported kind of server.
    #[error("`{address}`: {reason}")]
    Address {
        /// The address, without secrets.
        address: String,
        /// The expected form.
        reason: String,
    },
    /// A file operation in a shared folder failed.
    #[error("{path}: {source}")]
    Folder {
        /// The file.
        path: String,
        /// The error of the operating system.
        source: io::Error,
    },
    /// An HTTP server refused a request or could not be reached.
    #[error("{0}{hint}", hint = hint(.0))]
    Server(#[from] FetchError),
    /// A gRPC server refused a call or could not be reached.
    #[error("{server}: {method}: {code}: {reason}{hint}", hint = rpc_hint(code))]
    Rpc {
        /// The server.
        server: String,
        /// The method.
        method: &'static str,
        /// The gRPC status code.
        code: String,
        /// The error text of the server or the operating system.
        reason: String,
    },
    /// The server lacks something that `mc` needs.
    #[error("{0}")]
    Unusable(String),
    /// A key file cannot be used.
    #[error("{path}: {reason}")]
    Key {
        /// The file.
        path: String,
        /// The expected form, or the error of the operating system.
        reason: String,
    },
    /// The blob exceeds the server's limit.
    #[error("{server} accepts blobs of at most {max} bytes; this one has {n_bytes}")]
    TooLarge {
        /// The server.
        server: String,
        /// Size of the blob in bytes.
        n_bytes: u64,
        /// The limit in bytes.
        max: u64,
    },
    /// Bytes that do not match the requested digest.
    #[error("{server} sent {found} for {expected}; the response was discarded")]
    InvalidResponse {
        /// The server.
        server: String,
        /// The requested digest.
        expected: String,
        /// The digest or length found.
        found: String,
    },
    /// The value under the key of a result is not a result.
    #[error("{server} sent an invalid result: {reason}")]
    NoResult {
        /// The server.
        server: String,
        /// The reason.
        reason: String,
    },
    /// An error of the local store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An error with the bytes of a local input or output.
    #[error("{0}")]
    Local(String),
    /// The server failed before, so it is not asked again.
    #[error("The remote cache failed before")]
    Off,
}

/// Help for a server that requires authentication.
const AUTHENTICATION_HELP: &str = "; authenticate with `--credential-helper PROGRAM`, `~/.netrc` or `--remote-header NAME=VALUE`, \
                        for registries also with `docker login`, for buckets with the keys of AWS's tools";

/// Help at the end of an error message.
fn hint(error: &FetchError) -> String {
    match error {
        FetchError::Denied { url, .. } if url.is_private() => AUTHENTICATION_HELP.to_owned(),
        _ => {
            let help = error.help().unwrap_or_default();
            let mut letters = help.chars();
            let first = letters.next().map(char::to_lowercase);
            first.map_or_else(String::new, |first| format!("; {first}{}", letters.as_str()))
        }
    }
}

/// Same as [`hint`], for a gRPC status code.
fn rpc_hint(code: &str) -> &'static str {
    if matches!(code, "Unauthenticated" | "PermissionDenied") { AUTHENTICATION_HELP } else { "" }
}

impl RemoteError {
    /// Converts an error returned by a writer of the local store.
    pub(crate) fn of_writer(error: io::Error) -> Self {
        StoreError::from_writer(error).map_or_else(|error| Self::Local(error.to_string()), Self::Store)
    }

    /// Returns true if the error concerns the server as a whole, and not one blob or this machine.
    pub fn is_of_server(&self) -> bool {
        match self {
            Self::Server(FetchError::TooLarge { .. }) => false,
            Self::Server(_)
            | Self::Folder { .. }
            | Self::Rpc { .. }
            | Self::Unusable(_)
            | Self::Address { .. } => true,
            Self::Key { .. }
            | Self::TooLarge { .. }
            | Self::InvalidResponse { .. }
            | Self::NoResult { .. }
            | Self::Store(_)
            | Self::Local(_)
            | Self::Off => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use mc_fetch::url::Url;

    use super::*;

    #[test]
    fn a_refusal_includes_help() {
        let reported = |address: &str, status: u16| {
            let (url, message) = (Url::parse(address).unwrap(), String::new());
            RemoteError::from(match status {
                413 => FetchError::TooLarge { url, message },
                _ => FetchError::Denied { url, status, message },
            })
            .to_string()
        };
        assert!(reported("https://h/", 401).ends_with(AUTHENTICATION_HELP));
        assert!(reported("http://h/", 401).contains("; secrets are not sent over plain `http`"));
        assert!(reported("https://h/", 413).contains("; the server's operator can raise its limit"));
        let rpc = |code: &str| {
            let (server, code, reason) = ("s".to_owned(), code.to_owned(), "r".to_owned());
            RemoteError::Rpc { server, method: "m", code, reason }.to_string()
        };
        assert!(rpc("PermissionDenied").ends_with(AUTHENTICATION_HELP));
        assert_eq!(rpc("Unavailable"), "s: m: Unavailable: r");
    }
}
