//! Options for connections to the remote cache and to workers.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use mc_driver::settings::connection::Connection;
use mc_driver::settings::remote::RemoteChoices;
use mc_remote::function::DigestFunction;

use crate::options::duration::{duration, stall_limit};

/// Options for connections to the remote cache and to workers.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Connection options")]
pub(crate) struct ConnectionOptions {
    /// Append one line of JSON to this file for each gRPC call
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) remote_grpc_log: Option<PathBuf>,

    /// Compress blobs in transit if the server supports it [default: false]
    #[arg(long, global = true, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(crate) remote_cache_compression: Option<bool>,

    /// Do not compress blobs smaller than this many bytes [default: 1024]
    #[arg(long, global = true, value_name = "BYTES")]
    pub(crate) remote_cache_compression_threshold: Option<u64>,

    /// Transfer only the new chunks of large blobs if the server supports it [default: true]
    #[arg(long, global = true, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(crate) remote_cache_chunking: Option<bool>,

    /// Digest function of the remote cache, if the server has several [default: blake3 if available]
    #[arg(long, global = true, value_name = "FUNCTION", alias = "digest-function")]
    pub(crate) remote_digest_function: Option<DigestName>,

    /// Give up on a connection attempt after this many seconds [default: 5]
    #[arg(long, global = true, value_name = "SECONDS", value_parser = stall_limit)]
    pub(crate) remote_connect_timeout: Option<Duration>,

    /// Number of retries after a temporary failure [default: 3]
    #[arg(long, global = true, value_name = "N", value_parser = clap::value_parser!(u8).range(0..=20))]
    pub(crate) remote_retries: Option<u8>,

    /// Number of parallel cache lookups [default: 32]
    #[arg(long, global = true, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) remote_max_connections: Option<u16>,

    /// Give up on the server after this many seconds of silence [default: 60]
    #[arg(long, global = true, value_name = "SECONDS", value_parser = stall_limit)]
    pub(crate) remote_timeout: Option<Duration>,

    /// Seconds between keepalive pings while a gRPC call waits for its answer; 0 turns them off [default: 30]
    #[arg(long, global = true, value_name = "SECONDS", value_parser = duration)]
    pub(crate) grpc_keepalive_time: Option<Duration>,
}

/// A digest function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum DigestName {
    /// SHA-256, which every server supports.
    Sha256,
    /// BLAKE3, which the local store uses.
    Blake3,
}

impl From<DigestName> for DigestFunction {
    fn from(name: DigestName) -> Self {
        match name {
            DigestName::Sha256 => Self::Sha256,
            DigestName::Blake3 => Self::Blake3,
        }
    }
}

impl ConnectionOptions {
    /// Adds the choices that the workspace may also make.
    pub(crate) fn add_to(&self, choices: &mut RemoteChoices) {
        choices.compression = self.remote_cache_compression;
        choices.chunking = self.remote_cache_chunking;
        choices.n_askers = self.remote_max_connections.map(usize::from);
    }

    /// The connection with these options, without credentials.
    pub(crate) fn connection(&self) -> Connection {
        let default = Connection::default();
        let keep_alive = self.grpc_keepalive_time.or(default.keep_alive);
        Connection {
            connect: self.remote_connect_timeout.unwrap_or(default.connect),
            idle: self.remote_timeout.unwrap_or(default.idle),
            n_retries: self.remote_retries.map_or(default.n_retries, u32::from),
            function: self.remote_digest_function.map(Into::into),
            compress_from: self.remote_cache_compression_threshold.unwrap_or(default.compress_from),
            // 0 turns pings off.
            keep_alive: keep_alive.filter(|every| !every.is_zero()),
            call_log: self.remote_grpc_log.clone(),
            ..default
        }
    }
}
