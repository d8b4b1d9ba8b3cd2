//! The options that every verb takes.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use mc_tensor::cpu_path::CpuPath;
use regex::Regex;

use crate::duration::{duration, patience};

/// Options that every verb takes.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Global options")]
pub(crate) struct GlobalOptions {
    /// How many actions run at a time [default: the number of CPUs and two more]
    #[arg(long, short = 'j', global = true, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) jobs: Option<u16>,

    /// The folder of the store [default: $MC_CACHE_DIR, else `mc` in the platform's cache folder]
    #[arg(long, global = true, value_name = "DIR", alias = "disk-cache")]
    pub(crate) cache_dir: Option<PathBuf>,

    /// The root of the workspace [default: the nearest folder upward with a workspace.kdl]
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) workspace: Option<PathBuf>,

    /// How results are written
    #[arg(long, global = true, value_name = "FORMAT", default_value = "text")]
    pub(crate) output: OutputFormat,

    /// After a failure, go on with everything that does not need what failed
    #[arg(long, short = 'k', global = true)]
    pub(crate) keep_going: bool,

    /// Show results and errors only
    #[arg(long, short = 'q', global = true)]
    pub(crate) quiet: bool,

    /// Vector instructions to compute with; results do not depend on it [default: the widest of this CPU]
    #[arg(long, global = true, value_name = "PATH", value_parser = cpu_path)]
    pub(crate) cpu_path: Option<CpuPath>,

    /// Ask no server; what is not here is an error
    #[arg(long, global = true)]
    pub(crate) offline: bool,

    /// A program that knows the headers for an address, as Bazel's [default: $MC_CREDENTIAL_HELPER]
    #[arg(long, global = true, value_name = "PROGRAM")]
    pub(crate) credential_helper: Option<PathBuf>,

    /// Give a server up that says nothing for so long [default: 60]
    #[arg(long, global = true, value_name = "SECONDS", value_parser = patience)]
    pub(crate) fetch_timeout: Option<Duration>,

    /// The team's cache, such as `grpcs://host`, `https://host/path` or `file:///folder`; empty for none [default:
    /// workspace.kdl's]
    #[arg(long, global = true, value_name = "URL")]
    pub(crate) remote_cache: Option<String>,

    /// Which of the caches that a gRPC server keeps
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) remote_instance_name: Option<String>,

    /// Send the results that are made here to the team's cache
    #[arg(long, global = true, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(crate) remote_upload_local_results: Option<bool>,

    /// Go on while results are sent, and wait for the last at the end; else each step waits for its own [default: true]
    #[arg(long, global = true, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(crate) remote_cache_async: Option<bool>,

    /// Take results from the team's cache [default: true]
    #[arg(long, global = true, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(crate) remote_accept_cached: Option<bool>,

    /// Which blobs of results to fetch: only those that a step here reads, those that were asked for, or all
    /// [default: toplevel]
    #[arg(long, global = true, value_name = "WHICH", overrides_with_all = ["remote_download_minimal", "remote_download_toplevel", "remote_download_all"])]
    pub(crate) remote_download_outputs: Option<Download>,

    /// The same as `--remote-download-outputs=minimal`
    #[arg(long, global = true, hide = true, overrides_with_all = ["remote_download_toplevel", "remote_download_all"])]
    pub(crate) remote_download_minimal: bool,

    /// The same as `--remote-download-outputs=toplevel`
    #[arg(long, global = true, hide = true, overrides_with = "remote_download_all")]
    pub(crate) remote_download_toplevel: bool,

    /// The same as `--remote-download-outputs=all`
    #[arg(long, global = true, hide = true)]
    pub(crate) remote_download_all: bool,

    /// Fetch and write outputs that were asked for even with `minimal`, where this matches the path below mc-out/; may
    /// be repeated
    #[arg(long, global = true, value_name = "REGEX", value_parser = regex)]
    pub(crate) remote_download_regex: Vec<Regex>,

    /// Fail when the team's cache does, instead of going on without
    #[arg(long, global = true, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(crate) remote_cache_required: Option<bool>,

    /// Fail where a step would have to run because no cache has what it gives
    #[arg(long, global = true, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(crate) remote_require_cached: Option<bool>,

    /// Check all that comes, which is always done
    #[arg(long, global = true, hide = true, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = verified)]
    pub(crate) remote_verify_downloads: Option<bool>,

    /// Send results, signed with this private key (Ed25519, PEM) [default: $MC_REMOTE_SIGNING_KEY]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) remote_signing_key: Option<PathBuf>,

    /// Take only results that one of these public keys signed (Ed25519, PEM) [default: workspace.kdl's]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) remote_require_signed: Option<PathBuf>,

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
    #[arg(long, global = true, value_name = "SECONDS", value_parser = patience)]
    pub(crate) remote_connect_timeout: Option<Duration>,

    /// Ask the team's cache again so often after a failure that may pass [default: 3]
    #[arg(long, global = true, value_name = "N", value_parser = clap::value_parser!(u8).range(0..=20))]
    pub(crate) remote_retries: Option<u8>,

    /// Look so many results up in the team's cache at a time [default: 32]
    #[arg(long, global = true, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) remote_max_connections: Option<u16>,

    /// Give the team's cache up when it says nothing for so long [default: 60]
    #[arg(long, global = true, value_name = "SECONDS", value_parser = patience)]
    pub(crate) remote_timeout: Option<Duration>,

    /// Try a connection over which gRPC is spoken so often while an answer is waited for; 0 for never [default: 30]
    #[arg(long, global = true, value_name = "SECONDS", value_parser = duration)]
    pub(crate) grpc_keepalive_time: Option<Duration>,

    /// Have steps done by the workers of this server, where that pays; without a remote cache, that of the server is used
    #[arg(long, global = true, value_name = "URL")]
    pub(crate) remote_executor: Option<String>,

    /// Have workers do every step that they can, wherever its inputs are
    #[arg(long, global = true)]
    pub(crate) remote_executor_all: bool,

    /// Count what workers make as made here where results have to be signed, although nobody signs it
    #[arg(long, global = true)]
    pub(crate) remote_trust_executor: bool,

    /// What a worker must have, such as `OSFamily=linux`; may be given several times
    #[arg(long, global = true, value_name = "NAME=VALUE", value_parser = property)]
    pub(crate) remote_default_exec_properties: Vec<(String, String)>,

    /// Do a step here that no worker takes for so long [default: 60]
    #[arg(long, global = true, value_name = "SECONDS", value_parser = patience)]
    pub(crate) remote_queue_timeout: Option<Duration>,

    /// Do a step here that a worker runs for so long in vain [default: 3600]
    #[arg(long, global = true, value_name = "SECONDS", value_parser = patience)]
    pub(crate) remote_execution_timeout: Option<Duration>,

    /// Do a step here that workers could not do, instead of failing [default: true]
    #[arg(long, global = true, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(crate) remote_local_fallback: Option<bool>,

    /// A header for the team's cache and workers, whose value is shown nowhere; may be repeated
    #[arg(long, global = true, value_name = "NAME=VALUE")]
    pub(crate) remote_header: Vec<String>,

    /// A header for the team's cache alone
    #[arg(long, global = true, value_name = "NAME=VALUE")]
    pub(crate) remote_cache_header: Vec<String>,

    /// A header for the server alone that runs steps
    #[arg(long, global = true, value_name = "NAME=VALUE")]
    pub(crate) remote_exec_header: Vec<String>,

    /// Say who asks the team's cache by Google's Application Default Credentials
    #[arg(long, global = true, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(crate) google_default_credentials: Option<bool>,

    /// The authority that the team's cache is known by, in PEM [default: the well-known ones]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) tls_certificate: Option<PathBuf>,

    /// Who we are to the team's cache: a certificate in PEM, with those up to its authority
    #[arg(long, global = true, value_name = "FILE", requires = "tls_client_key")]
    pub(crate) tls_client_certificate: Option<PathBuf>,

    /// The certificate's key, in PEM
    #[arg(long, global = true, value_name = "FILE", requires = "tls_client_certificate")]
    pub(crate) tls_client_key: Option<PathBuf>,

    /// When to use colours; the variable NO_COLOR turns `auto` off
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub(crate) color: Color,
}

/// How results are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum OutputFormat {
    /// For people.
    #[default]
    Text,
    /// For programs: one JSON document.
    Json,
}

/// Which blobs of the team's results are fetched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Download {
    /// Only what a step on this machine reads; outputs stay where they are.
    Minimal,
    /// What was asked for, too.
    #[default]
    Toplevel,
    /// Everything.
    All,
}

/// A digest function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum DigestName {
    /// What every server knows.
    Sha256,
    /// What our store uses.
    Blake3,
}

/// When to use colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    /// On a terminal.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never, and no moving bars either.
    Never,
}

fn property(text: &str) -> Result<(String, String), String> {
    let property = text.split_once('=').filter(|(name, _)| !name.is_empty());
    let (name, value) = property.ok_or("expected `NAME=VALUE`")?;
    Ok((name.to_owned(), value.to_owned()))
}

fn verified(text: &str) -> Result<bool, String> {
    match text {
        "true" => Ok(true),
        "false" => Err("all that comes is checked, always: nothing else could be believed".to_owned()),
        _ => Err("expected `true`".to_owned()),
    }
}

fn regex(text: &str) -> Result<Regex, String> {
    // The library repeats the expression on lines of its own; what is wrong with it is on the last.
    let reason = |error: regex::Error| {
        let told = error.to_string();
        told.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned()
    };
    Regex::new(text).map_err(reason)
}

fn cpu_path(name: &str) -> Result<CpuPath, String> {
    CpuPath::by_name(name).ok_or_else(|| {
        let names: Vec<&str> = CpuPath::available().into_iter().map(CpuPath::name).collect();
        format!("this CPU has {}", names.join(", "))
    })
}

/// Actions beyond the CPUs: so many usually wait until the disk has what they wrote.
const N_WAITING: usize = 2;

/// What holds where the user says nothing of times.
const PATIENCE: Duration = Duration::from_secs(60);
const CONNECT: Duration = Duration::from_secs(5);
const KEEP_ALIVE: Duration = Duration::from_secs(30);

impl GlobalOptions {
    /// How many actions may run at a time.
    pub(crate) fn n_jobs(&self) -> usize {
        match self.jobs {
            Some(n_jobs) => n_jobs.into(),
            None => std::thread::available_parallelism().map_or(1, Into::into) + N_WAITING,
        }
    }

    /// How long a server may say nothing.
    pub(crate) fn fetch_timeout(&self) -> Duration {
        self.fetch_timeout.unwrap_or(PATIENCE)
    }

    /// How long the team's cache may say nothing.
    pub(crate) fn remote_timeout(&self) -> Duration {
        self.remote_timeout.unwrap_or(PATIENCE)
    }

    /// How long a connection to the team's cache may take.
    pub(crate) fn remote_connect_timeout(&self) -> Duration {
        self.remote_connect_timeout.unwrap_or(CONNECT)
    }

    /// How often a connection over which gRPC is spoken is tried; `None` for never.
    pub(crate) fn grpc_keepalive_time(&self) -> Option<Duration> {
        Some(self.grpc_keepalive_time.unwrap_or(KEEP_ALIVE)).filter(|every| !every.is_zero())
    }

    /// Which blobs of results are fetched, where the command line says so.
    pub(crate) fn download(&self) -> Option<Download> {
        match self {
            Self { remote_download_minimal: true, .. } => Some(Download::Minimal),
            Self { remote_download_toplevel: true, .. } => Some(Download::Toplevel),
            Self { remote_download_all: true, .. } => Some(Download::All),
            _ => self.remote_download_outputs,
        }
    }

    /// How often the team's cache is asked again after a failure that may pass.
    pub(crate) fn remote_retries(&self) -> u32 {
        self.remote_retries.unwrap_or(3).into()
    }

    /// Whether results are JSON.
    pub(crate) fn is_json(&self) -> bool {
        self.output == OutputFormat::Json
    }
}
