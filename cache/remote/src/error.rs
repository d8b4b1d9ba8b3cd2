//! What goes wrong with a server.

use std::io;

use mc_fetch::error::FetchError;
use mc_store::error::StoreError;

/// The server, or the way to it, fails.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    /// An address that names no kind of server that we know.
    #[error("`{address}`: {reason}")]
    Address {
        /// The address, without what must not be seen.
        address: String,
        /// What was expected.
        reason: String,
    },
    /// A file of a shared folder.
    #[error("{path}: {source}")]
    Folder {
        /// Which.
        path: String,
        /// What the system says.
        source: io::Error,
    },
    /// A server refused, or could not be reached.
    #[error("{0}{hint}", hint = hint(.0))]
    Server(#[from] FetchError),
    /// A server that speaks gRPC refused, or could not be reached.
    #[error("{server}: {method}: {code}: {reason}{hint}", hint = rpc_hint(code))]
    Rpc {
        /// Who.
        server: String,
        /// What was asked.
        method: &'static str,
        /// The kind of failure, as gRPC calls it.
        code: String,
        /// What the server says, or the system.
        reason: String,
    },
    /// A server that cannot be used at all.
    #[error("{0}")]
    Unusable(String),
    /// A file with a key that cannot be used.
    #[error("{path}: {reason}")]
    Key {
        /// Which.
        path: String,
        /// What was expected, or what the system says.
        reason: String,
    },
    /// A blob that the server does not take.
    #[error("{server} takes blobs of at most {max} bytes; this one has {n_bytes}")]
    TooLarge {
        /// Who.
        server: String,
        /// Bytes of the blob.
        n_bytes: u64,
        /// The limit.
        max: u64,
    },
    /// Bytes that are not those that were asked for.
    #[error("{server} sent {found} for {expected}; what it sends is not believed")]
    InvalidResponse {
        /// Who.
        server: String,
        /// What was asked for.
        expected: String,
        /// What came.
        found: String,
    },
    /// Something that is no result, under the key of one.
    #[error("{server} sent what is no result: {reason}")]
    NoResult {
        /// Who.
        server: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The store on this machine.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Bytes of an input or an output on this machine.
    #[error("{0}")]
    Local(String),
    /// It failed before, so it is not asked again.
    #[error("The remote cache failed before")]
    Off,
}

/// What to do where a server wants to know who asks.
const WHO_ASKS: &str = "; say who asks with `--credential-helper PROGRAM`, `~/.netrc` or `--remote-header NAME=VALUE`, \
                        to registries also with `docker login`, to buckets with the keys of AWS's tools";

/// What to do about it, at the end of a message.
fn hint(error: &FetchError) -> String {
    match error {
        FetchError::Denied { url, .. } if url.is_private() => WHO_ASKS.to_owned(),
        _ => {
            let help = error.help().unwrap_or_default();
            let mut letters = help.chars();
            let first = letters.next().map(char::to_lowercase);
            first.map_or_else(String::new, |first| format!("; {first}{}", letters.as_str()))
        }
    }
}

/// The same for a kind of failure, as gRPC calls it.
fn rpc_hint(code: &str) -> &'static str {
    if matches!(code, "Unauthenticated" | "PermissionDenied") { WHO_ASKS } else { "" }
}

impl RemoteError {
    /// What a writer of the store on this machine said.
    pub(crate) fn of_writer(error: io::Error) -> Self {
        StoreError::from_writer(error).map_or_else(|error| Self::Local(error.to_string()), Self::Store)
    }

    /// Whether the server is to blame as a whole, and not one blob or this machine.
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
    fn a_refusal_says_what_to_do_about_it() {
        let reported = |address: &str, status: u16| {
            let (url, message) = (Url::parse(address).unwrap(), String::new());
            RemoteError::from(match status {
                413 => FetchError::TooLarge { url, message },
                _ => FetchError::Denied { url, status, message },
            })
            .to_string()
        };
        assert!(reported("https://h/", 401).ends_with(WHO_ASKS));
        assert!(reported("http://h/", 401).contains("; nothing secret is sent over plain `http`"));
        assert!(reported("https://h/", 413).contains("; whoever runs the server can raise its limit"));
        let rpc = |code: &str| {
            let (server, code, reason) = ("s".to_owned(), code.to_owned(), "r".to_owned());
            RemoteError::Rpc { server, method: "m", code, reason }.to_string()
        };
        assert!(rpc("PermissionDenied").ends_with(WHO_ASKS));
        assert_eq!(rpc("Unavailable"), "s: m: Unavailable: r");
    }
}
