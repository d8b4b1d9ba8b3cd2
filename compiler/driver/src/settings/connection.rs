//! The connection to the remote cache and to workers: credentials, timeouts, compression.

use std::path::PathBuf;
use std::time::Duration;

use mc_fetch::secret::header::SecretHeader;
use mc_remote::function::DigestFunction;

use crate::settings::access::Access;
use crate::settings::fetch::PATIENCE;

/// The connection to a server: credentials, timeouts, compression.
#[derive(Clone, Debug)]
pub struct Connection {
    /// True if no network requests are allowed.
    pub offline: bool,
    /// Headers for the cache; their values are secret.
    pub cache_headers: Vec<SecretHeader>,
    /// Headers for the server that runs actions.
    pub executor_headers: Vec<SecretHeader>,
    /// True if Google's Application Default Credentials are sent.
    pub google: bool,
    /// The TLS files.
    pub tls: TlsFiles,
    /// Timeout for connecting.
    pub connect: Duration,
    /// Timeout for a silent server.
    pub idle: Duration,
    /// Maximum number of retries after a transient failure.
    pub n_retries: u32,
    /// The digest function to use if a server offers several.
    pub function: Option<DigestFunction>,
    /// Minimum number of bytes of blobs that are compressed.
    pub compress_from: u64,
    /// Interval of keep-alive pings on a gRPC connection that waits for an answer; `None` for no pings.
    pub keep_alive: Option<Duration>,
    /// Log file with a line for each gRPC call.
    pub call_log: Option<PathBuf>,
    /// Credentials and proxies.
    pub access: Access,
}

/// Files in PEM format.
#[derive(Clone, Debug, Default)]
pub struct TlsFiles {
    /// The certificate authority of servers; the system's default ones if `None`.
    pub authority: Option<PathBuf>,
    /// The client certificate and its key.
    pub identity: Option<(PathBuf, PathBuf)>,
}

impl Default for Connection {
    fn default() -> Self {
        Self {
            offline: false,
            cache_headers: Vec::new(),
            executor_headers: Vec::new(),
            google: false,
            tls: TlsFiles::default(),
            connect: Duration::from_secs(5),
            idle: PATIENCE,
            n_retries: 3,
            function: None,
            // A smaller blob fits into one network packet, compressed or not.
            compress_from: 1 << 10,
            keep_alive: Some(Duration::from_secs(30)),
            call_log: None,
            access: Access::default(),
        }
    }
}
