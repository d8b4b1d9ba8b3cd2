//! Errors of a remote cache that is opened.

use std::io;
use std::path::PathBuf;

use mc_fetch::error::FetchError;
use mc_remote::error::RemoteError;

/// A remote cache, or a server of workers, that cannot be used as the settings say.
#[derive(Debug, thiserror::Error)]
pub enum RemoteCacheError {
    /// The cache cannot be used.
    #[error("Cannot use the remote cache")]
    Unusable(#[source] RemoteError),
    /// A server is required, and none may be asked.
    #[error("No server may be asked, and the remote cache is required")]
    Offline,
    /// Headers would be sent in the clear, or to a server that takes none.
    #[error("Headers are sent over TLS or to this machine alone, and never to buckets or folders")]
    HeadersExposed(Role),
    /// The files of TLS cannot be used.
    #[error("Cannot use the files of TLS")]
    Tls(#[source] FetchError),
    /// Google's credentials would be sent in the clear.
    #[error("Google's credentials are for servers over TLS or on this machine")]
    GoogleExposed,
    /// There are no credentials of Google's.
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
    #[error("Only servers that speak gRPC run actions")]
    NotAnExecutor,
}

/// The task of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// To keep blobs and results.
    Cache,
    /// To run actions.
    Executor,
}
