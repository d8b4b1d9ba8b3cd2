//! Address, credentials and options of a gRPC server.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use mc_fetch::credentials::Credentials;
use mc_fetch::secret::header::SecretHeader;
use mc_fetch::tls::Pem;
use mc_fetch::url::Url;

use crate::function::DigestFunction;
use crate::transports::grpc::call_log::CallLog;

/// Address of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// `grpc://host:port`: unencrypted.
    Plain(Url),
    /// `grpcs://host:port`: over TLS.
    Tls(Url),
    /// `unix:/path`: a Unix socket on this machine.
    Unix(String),
}

impl Place {
    /// Address for the lookup of credentials; `None` for a socket of this machine.
    pub fn url(&self) -> Option<&Url> {
        match self {
            Self::Plain(url) | Self::Tls(url) => Some(url),
            Self::Unix(_) => None,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let authority = |url: &Url| url.root().split_once("://").map(|(_, rest)| rest.to_owned());
        match self {
            Self::Plain(url) => write!(f, "grpc://{}", authority(url).unwrap_or_default()),
            Self::Tls(url) => write!(f, "grpcs://{}", authority(url).unwrap_or_default()),
            Self::Unix(path) => write!(f, "unix:{path}"),
        }
    }
}

/// Settings of a connection.
pub struct Settings {
    /// Address of the server.
    pub place: Place,
    /// Instance name: one of the caches on the server.
    pub instance: String,
    /// Credentials for the server.
    pub credentials: Credentials,
    /// Additional headers of every request.
    pub headers: Vec<SecretHeader>,
    /// Certificates and keys.
    pub pem: Pem,
    /// Time limit for a connection and its first response.
    pub connect: Duration,
    /// Time limit without data from the server.
    pub idle: Duration,
    /// Number of retries after a transient failure.
    pub n_retries: u32,
    /// The digest function to use, if the user selects one.
    pub function: Option<DigestFunction>,
    /// True to compress transfers of compressible blobs, if the server supports it.
    pub compress: bool,
    /// Minimum size in bytes for compression.
    pub compress_from: u64,
    /// True to transfer only the missing chunks of large blobs, if the server supports it.
    pub chunk: bool,
    /// Interval between keep-alive pings while a request is in progress; `None` for no pings.
    pub keep_alive: Option<Duration>,
    /// Log of calls.
    pub log: Option<Arc<CallLog>>,
    /// The version of this program.
    pub version: &'static str,
}
