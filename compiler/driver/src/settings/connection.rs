//! The connection to the remote cache and to workers: credentials, patience, compression.

use std::path::PathBuf;
use std::time::Duration;

use mc_fetch::secret::header::SecretHeader;
use mc_remote::function::DigestFunction;

use crate::settings::access::Access;
use crate::settings::fetch::PATIENCE;

/// The connection to a server: credentials, patience, compression.
#[derive(Clone, Debug)]
pub struct Connection {
    /// True if no server may be asked.
    pub offline: bool,
    /// Headers for the cache, whose values must not be seen.
    pub cache_headers: Vec<SecretHeader>,
    /// Headers for the server that runs actions.
    pub executor_headers: Vec<SecretHeader>,
    /// True if Google's Application Default Credentials are sent.
    pub google: bool,
    /// The files of TLS.
    pub tls: TlsFiles,
    /// Longest time for connecting.
    pub connect: Duration,
    /// Longest silence of a server.
    pub idle: Duration,
    /// Number of further tries after a failure that may pass.
    pub n_retries: u32,
    /// The digest function, where a server offers several.
    pub function: Option<DigestFunction>,
    /// The length in bytes from which blobs are compressed.
    pub compress_from: u64,
    /// Interval at which a gRPC connection is tried while an answer is waited for; `None` for never.
    pub keep_alive: Option<Duration>,
    /// The file that gets a line for each call of a gRPC server.
    pub call_log: Option<PathBuf>,
    /// Credentials and proxies.
    pub access: Access,
}

/// Files in PEM.
#[derive(Clone, Debug, Default)]
pub struct TlsFiles {
    /// The authority that servers are known by; the well-known ones if there is none.
    pub authority: Option<PathBuf>,
    /// The certificate that is shown to servers, and its key.
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
            // A smaller blob goes into one packet of a network, compressed or not.
            compress_from: 1 << 10,
            keep_alive: Some(Duration::from_secs(30)),
            call_log: None,
            access: Access::default(),
        }
    }
}
