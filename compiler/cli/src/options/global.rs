//! The options that every verb takes: how to build and to show, and the groups for servers.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use mc_rules::inference::backends;
use mc_tensor::cpu_path::CpuPath;

use crate::options::access::AccessOptions;
use crate::options::connection::ConnectionOptions;
use crate::options::fetch::FetchOptions;
use crate::options::remote_cache::RemoteCacheOptions;
use crate::options::workers::WorkerOptions;

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

    /// Print details: every action that runs
    #[arg(long, short = 'v', global = true, conflicts_with = "quiet")]
    pub(crate) verbose: bool,

    /// Vector instructions to compute with; results do not depend on it [default: the widest of this CPU]
    #[arg(long, global = true, value_name = "PATH", value_parser = cpu_path)]
    pub(crate) cpu_path: Option<CpuPath>,

    /// Run models with this backend; numbers of different backends are kept apart [default: cpu-exact]
    #[arg(long, global = true, value_name = "NAME", value_parser = backend)]
    pub(crate) backend: Option<String>,

    #[command(flatten)]
    pub(crate) fetch: FetchOptions,

    #[command(flatten)]
    pub(crate) remote_cache: RemoteCacheOptions,

    #[command(flatten)]
    pub(crate) connection: ConnectionOptions,

    #[command(flatten)]
    pub(crate) workers: WorkerOptions,

    #[command(flatten)]
    pub(crate) access: AccessOptions,

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
    /// For `mc query`: the rule and the label of each target.
    #[value(name = "label_kind", hide = true)]
    LabelKind,
    /// For `mc query`: file, line and column of each target.
    #[value(hide = true)]
    Location,
    /// For `mc query`: a graph in the language of Graphviz.
    #[value(hide = true)]
    Graph,
}

impl OutputFormat {
    /// The name of a format that only `mc query` has.
    pub(crate) fn of_queries(self) -> Option<&'static str> {
        match self {
            Self::Text | Self::Json => None,
            Self::LabelKind => Some("label_kind"),
            Self::Location => Some("location"),
            Self::Graph => Some("graph"),
        }
    }
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

fn backend(name: &str) -> Result<String, String> {
    let names = backends::names();
    let known = names.iter().find(|known| **known == name);
    known.map(|known| (*known).to_owned()).ok_or_else(|| format!("this mc has {}", names.join(", ")))
}

fn cpu_path(name: &str) -> Result<CpuPath, String> {
    CpuPath::by_name(name).ok_or_else(|| {
        let names: Vec<&str> = CpuPath::available().into_iter().map(CpuPath::name).collect();
        format!("this CPU has {}", names.join(", "))
    })
}

impl GlobalOptions {
    /// Returns true if results are JSON.
    pub(crate) fn is_json(&self) -> bool {
        self.output == OutputFormat::Json
    }
}
