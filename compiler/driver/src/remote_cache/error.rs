//! Errors of opening a remote cache.

use std::io;
use std::path::PathBuf;

use mc_fetch::error::FetchError;
use mc_remote::error::RemoteError;

/// A remote cache, or a server of workers, that cannot be used with the settings.
#[derive(Debug, thiserror::Error)]
pub enum RemoteCacheError {
    /// The cache cannot be used.
    #[error("Cannot use the remote cache")]
    Unusable(#[source] RemoteError),
    /// The remote cache is required, and offline mode is on.
    #[error("No server may be contacted, but the remote cache is required")]
    Offline,
    /// Headers would be sent without encryption, or to a server that does not accept any.
    #[error("Headers are sent only over TLS or to this machine, and never to buckets or folders")]
    HeadersExposed(Role),
    /// The TLS files cannot be used.
    #[error("Cannot use the TLS files")]
    Tls(#[source] FetchError),
    /// Google's credentials would be sent without encryption.
    #[error("Google's credentials are sent only over TLS or to this machine")]
    GoogleExposed,
    /// There are no Google credentials.
    #[error("Cannot use Google's credentials")]
    Google(#[source] FetchError),
    /// The proxy cannot be used.
    #[error("Cannot use the proxy")]
    Proxy(#[source] FetchError),
    /// The log of calls cannot be written.
    #[error("Cannot write the log `{path}`", path = path.display())]
    CallLog {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// A key cannot be used.
    #[error("Cannot use a key")]
    Key(#[source] RemoteError),
    /// The program that workers run cannot be read.
    #[error("Cannot use the remote executor")]
    Program(#[source] RemoteError),
    /// The server cannot run actions.
    #[error("Only gRPC servers run actions")]
    NotAnExecutor,
}

/// The role of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Stores blobs and results.
    Cache,
    /// Runs actions.
    Executor,
}
