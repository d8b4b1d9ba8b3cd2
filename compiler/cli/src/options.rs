//! The options that every verb takes.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use mc_tensor::cpu_path::CpuPath;

/// Options that every verb takes.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Global options")]
pub(crate) struct GlobalOptions {
    /// How many actions run at a time [default: the number of CPUs and two more]
    #[arg(long, short = 'j', global = true, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) jobs: Option<u16>,

    /// The folder of the store [default: $MC_CACHE_DIR, else `mc` in the platform's cache folder]
    #[arg(long, global = true, value_name = "DIR")]
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
    #[arg(long, global = true, value_name = "SECONDS", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) fetch_timeout: Option<u16>,

    /// The team's cache: `file:///folder`, `http://…` or `https://…`; empty for none [default: workspace.kdl's]
    #[arg(long, global = true, value_name = "URL", alias = "remote_cache")]
    pub(crate) remote_cache: Option<String>,

    /// Send the results that are made here to the team's cache
    #[arg(long, global = true, alias = "remote_upload_local_results")]
    pub(crate) remote_upload_local_results: bool,

    /// Fail when the team's cache does, instead of going on without
    #[arg(long, global = true, alias = "remote_cache_required")]
    pub(crate) remote_cache_required: bool,

    /// Give the team's cache up when it says nothing for so long [default: 60]
    #[arg(long, global = true, value_name = "SECONDS", alias = "remote_timeout", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) remote_timeout: Option<u16>,

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

fn cpu_path(name: &str) -> Result<CpuPath, String> {
    CpuPath::by_name(name).ok_or_else(|| {
        let names: Vec<&str> = CpuPath::available().into_iter().map(CpuPath::name).collect();
        format!("this CPU has {}", names.join(", "))
    })
}

/// Actions beyond the CPUs: so many usually wait until the disk has what they wrote.
const N_WAITING: usize = 2;

impl GlobalOptions {
    /// How many actions may run at a time.
    pub(crate) fn n_jobs(&self) -> usize {
        match self.jobs {
            Some(n_jobs) => n_jobs.into(),
            None => std::thread::available_parallelism().map_or(1, Into::into) + N_WAITING,
        }
    }

    /// How many seconds a server may say nothing.
    pub(crate) fn fetch_timeout(&self) -> u64 {
        self.fetch_timeout.unwrap_or(60).into()
    }

    /// How many seconds the team's cache may say nothing.
    pub(crate) fn remote_timeout(&self) -> u64 {
        self.remote_timeout.unwrap_or(60).into()
    }

    /// Whether results are JSON.
    pub(crate) fn is_json(&self) -> bool {
        self.output == OutputFormat::Json
    }
}
