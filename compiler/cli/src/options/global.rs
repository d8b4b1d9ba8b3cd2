//! The options of every verb: how to build and what to show, and the groups for servers.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use mc_rules::inference::backends;
use mc_tensor::cpu_path::CpuPath;

use crate::help::form::COMMON;
use crate::options::access::AccessOptions;
use crate::options::connection::ConnectionOptions;
use crate::options::fetch::FetchOptions;
use crate::options::remote_cache::RemoteCacheOptions;
use crate::options::workers::WorkerOptions;

/// Options that every verb takes.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Build options")]
pub(crate) struct GlobalOptions {
    /// Actions that run at a time [default: CPUs + 2]
    #[arg(long, short = 'j', global = true, value_name = "N", help_heading = COMMON, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) jobs: Option<u16>,

    /// Folder of the local store [default: $MC_CACHE_DIR, else `mc` in the user's cache folder]
    #[arg(long, global = true, value_name = "DIR", alias = "disk-cache")]
    pub(crate) cache_dir: Option<PathBuf>,

    /// Root folder of the workspace [default: the nearest folder upward with a workspace.kdl]
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) workspace: Option<PathBuf>,

    /// Format of results
    #[arg(long, global = true, value_name = "text|json", default_value = "text", hide_possible_values = true, help_heading = COMMON)]
    pub(crate) output: OutputFormat,

    /// Continue past failures with independent actions
    #[arg(long, short = 'k', global = true, help_heading = COMMON)]
    pub(crate) keep_going: bool,

    /// Print results, warnings and errors only
    #[arg(long, short = 'q', global = true, help_heading = COMMON)]
    pub(crate) quiet: bool,

    /// Print details of targets, gates and actions
    #[arg(long, short = 'v', global = true, help_heading = COMMON)]
    pub(crate) verbose: bool,

    /// CPU vector instructions to use; results are the same with each [default: the widest that this CPU has]
    #[arg(long, global = true, value_name = "PATH", value_parser = cpu_path)]
    pub(crate) cpu_path: Option<CpuPath>,

    /// Backend that runs models; results of different backends are cached separately [default: cpu-exact]
    #[arg(long, global = true, value_name = "NAME", value_parser = backend)]
    pub(crate) backend: Option<String>,

    /// Python interpreter with the runtimes of formats, for `runtime-parity` in gates [default: none, so these checks do
    /// not run]
    #[arg(long, global = true, value_name = "PATH")]
    pub(crate) runtime_python: Option<PathBuf>,

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

    /// When to use colors; NO_COLOR, CLICOLOR and CLICOLOR_FORCE change `auto`
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto", help_heading = "Output options")]
    pub(crate) color: Color,
}

/// How results are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum OutputFormat {
    /// Text for people.
    #[default]
    Text,
    /// One JSON document for programs.
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
    /// The name of the format if only `mc query` supports it.
    pub(crate) fn of_queries(self) -> Option<&'static str> {
        match self {
            Self::Text | Self::Json => None,
            Self::LabelKind => Some("label_kind"),
            Self::Location => Some("location"),
            Self::Graph => Some("graph"),
        }
    }
}

/// Use of colors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    /// Colors on a terminal.
    #[default]
    Auto,
    /// Colors, also in files and pipes.
    Always,
    /// No colors and no moving bars.
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
