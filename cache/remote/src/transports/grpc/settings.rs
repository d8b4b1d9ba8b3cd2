//! How a server that speaks gRPC is reached, and who asks it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use mc_fetch::credentials::Credentials;
use mc_fetch::secret::header::SecretHeader;
use mc_fetch::tls::Pem;
use mc_fetch::url::Url;

use crate::function::DigestFunction;
use crate::transports::grpc::call_log::CallLog;

/// Where a server is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// `grpc://host:port`: in the clear.
    Plain(Url),
    /// `grpcs://host:port`: over TLS.
    Tls(Url),
    /// `unix:/path`: a socket of this machine.
    Unix(String),
}

impl Place {
    /// What credentials are looked up for; none for a socket of this machine.
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

/// Everything about a connection.
pub struct Settings {
    /// Where the server is.
    pub place: Place,
    /// Which of the caches that it keeps.
    pub instance: String,
    /// Who asks.
    pub credentials: Credentials,
    /// Headers of every request.
    pub headers: Vec<SecretHeader>,
    /// Certificates and keys.
    pub pem: Pem,
    /// How long a connection may take, and the first answer over it.
    pub connect: Duration,
    /// How long the server may say nothing.
    pub idle: Duration,
    /// How often a request is repeated that failed in passing.
    pub n_retries: u32,
    /// The digest function to use, where the user names one.
    pub function: Option<DigestFunction>,
    /// Whether blobs that shrink are sent and asked for compressed, where the server can.
    pub compress: bool,
    /// From how many bytes on that is tried.
    pub compress_from: u64,
    /// Whether large blobs travel as the chunks that are new, where the server can.
    pub chunk: bool,
    /// How often a connection on which something is under way is tried; `None` for never.
    pub keep_alive: Option<Duration>,
    /// Where calls are logged.
    pub log: Option<Arc<CallLog>>,
    /// The version of this program.
    pub version: &'static str,
}
