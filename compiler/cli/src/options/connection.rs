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
pub(crate) struct ConnectionOptions {
    /// Add a line of JSON to this file for each call of a gRPC server
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) remote_grpc_log: Option<PathBuf>,

    /// Compress what shrinks on its way, where the server can
    #[arg(long, global = true, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(crate) remote_cache_compression: Option<bool>,

    /// Compress nothing that is smaller [default: 1024]
    #[arg(long, global = true, value_name = "BYTES")]
    pub(crate) remote_cache_compression_threshold: Option<u64>,

    /// Send and fetch of large blobs only the chunks that are new, where the server can [default: true]
    #[arg(long, global = true, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(crate) remote_cache_chunking: Option<bool>,

    /// The digest function of the team's cache, where it offers several [default: BLAKE3 where it has it]
    #[arg(long, global = true, value_name = "FUNCTION", alias = "digest-function")]
    pub(crate) remote_digest_function: Option<DigestName>,

    /// Give a connection to the team's cache up after so long [default: 5]
    #[arg(long, global = true, value_name = "SECONDS", value_parser = stall_limit)]
    pub(crate) remote_connect_timeout: Option<Duration>,

    /// Ask the team's cache again so often after a failure that may pass [default: 3]
    #[arg(long, global = true, value_name = "N", value_parser = clap::value_parser!(u8).range(0..=20))]
    pub(crate) remote_retries: Option<u8>,

    /// Look so many results up in the team's cache at a time [default: 32]
    #[arg(long, global = true, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) remote_max_connections: Option<u16>,

    /// Give the team's cache up when it says nothing for so long [default: 60]
    #[arg(long, global = true, value_name = "SECONDS", value_parser = stall_limit)]
    pub(crate) remote_timeout: Option<Duration>,

    /// Try a connection over which gRPC is spoken so often while an answer is waited for; 0 for never [default: 30]
    #[arg(long, global = true, value_name = "SECONDS", value_parser = duration)]
    pub(crate) grpc_keepalive_time: Option<Duration>,
}

/// A digest function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum DigestName {
    /// What every server knows.
    Sha256,
    /// What our store uses.
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
    /// Adds those choices that the workspace may make, too.
    pub(crate) fn add_to(&self, choices: &mut RemoteChoices) {
        choices.compression = self.remote_cache_compression;
        choices.chunking = self.remote_cache_chunking;
        choices.n_askers = self.remote_max_connections.map(usize::from);
    }

    /// The connection that the options stand for, without credentials.
    pub(crate) fn connection(&self) -> Connection {
        let default = Connection::default();
        let keep_alive = self.grpc_keepalive_time.or(default.keep_alive);
        Connection {
            connect: self.remote_connect_timeout.unwrap_or(default.connect),
            idle: self.remote_timeout.unwrap_or(default.idle),
            n_retries: self.remote_retries.map_or(default.n_retries, u32::from),
            function: self.remote_digest_function.map(Into::into),
            compress_from: self.remote_cache_compression_threshold.unwrap_or(default.compress_from),
            // 0 is for never.
            keep_alive: keep_alive.filter(|every| !every.is_zero()),
            call_log: self.remote_grpc_log.clone(),
            ..default
        }
    }
}
