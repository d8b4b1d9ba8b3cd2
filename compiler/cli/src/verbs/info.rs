//! `mc info`: which mc this is, and where it looks; `mc info remote`: what was agreed upon with the team's cache.

use clap::{Args, ValueEnum};
use mc_remote::error::RemoteError;
use mc_remote::function::DigestFunction;
use mc_rules::rules::RULES;
use mc_tensor::cpu_path::CpuPath;
use serde_json::{Value, json};

use crate::exit::Exit;
use crate::failure::Failure;
use crate::invocation::Invocation;
use crate::render::table::{Align, table};
use crate::report::Report;
use crate::verbs::Run;
use crate::wire::declarations::Declarations;
use crate::wire::engine::Engine;
use crate::wire::team_cache::TeamCache;
use crate::workspace::{Workspace, cache_dir};

/// Show the version, the workspace, the store, CPU paths, rules and devices; `info remote`: the team's cache
#[derive(Args)]
pub(crate) struct Info {
    /// What to show
    topic: Option<Topic>,
}

/// What else there is to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Topic {
    /// The team's cache: where it is, what it can do and how it is used.
    Remote,
}

impl Run for Info {
    fn run(&self, invocation: &Invocation) -> Result<Exit, Failure> {
        // Outside a workspace there is still something to tell.
        let workspace = Workspace::find(&invocation.options).ok();
        if self.topic == Some(Topic::Remote) {
            return remote(invocation, workspace.as_ref());
        }
        let cache = cache_dir(&invocation.options)?;
        let store_format =
            std::fs::read_to_string(cache.join("VERSION")).ok().map(|version| version.trim().to_owned());
        let rules: Vec<&str> = RULES.iter().map(|rule| rule.schema().name).collect();
        let cpu_path = CpuPath::detect().name();
        let cpu_paths: Vec<&str> = CpuPath::available().into_iter().map(CpuPath::name).collect();
        let facts = [
            ("version", json!(env!("CARGO_PKG_VERSION"))),
            ("workspace", json!(workspace.as_ref().map(|workspace| workspace.root.display().to_string()))),
            ("cache", json!(cache.display().to_string())),
            ("store format", json!(store_format)),
            ("jobs", json!(invocation.options.n_jobs())),
            ("backends", json!(["cpu"])),
            ("cpu path", json!(cpu_path)),
            ("cpu paths", json!(cpu_paths)),
            ("rules", json!(rules)),
            ("devices", json!(workspace.as_ref().map(|workspace| devices(invocation, workspace)))),
        ];
        tell(invocation, &facts);
        Ok(Exit::Done)
    }
}

fn tell(invocation: &Invocation, facts: &[(&str, Value)]) {
    if invocation.is_json() {
        let object: serde_json::Map<String, Value> =
            facts.iter().map(|(name, value)| (name.replace(' ', "_"), value.clone())).collect();
        invocation.json(&object);
    } else {
        let rows: Vec<Vec<String>> =
            facts.iter().map(|(name, value)| vec![(*name).to_owned(), shown(value)]).collect();
        invocation.streams.result(&table(&[Align::Left, Align::Left], &rows));
    }
}

/// Asks the team's cache what it can do.
fn remote(invocation: &Invocation, workspace: Option<&Workspace>) -> Result<Exit, Failure> {
    let declared = workspace.map(|workspace| Declarations::open(invocation, workspace).team_cache());
    let engine = Engine::open(invocation)?;
    let Some(team) = TeamCache::open(invocation, &declared.unwrap_or_default(), &engine.store)? else {
        let report = Report::usage("There is no remote cache")
            .hint("Name it with `--remote-cache URL`, or in workspace.kdl: cache { remote \"URL\" }");
        return Err(report.into());
    };
    let failed = |error: RemoteError| {
        Report::failed(format!("Cannot use the remote cache {}", team.remote.name())).because(error)
    };
    let function = match team.remote.function().map_err(failed)? {
        DigestFunction::Blake3 => "BLAKE3",
        DigestFunction::Sha256 => "SHA-256",
    };
    let mut facts = vec![("address", json!(team.remote.name())), ("digest function", json!(function))];
    facts
        .extend(team.remote.details().map_err(failed)?.into_iter().map(|(name, value)| (name, json!(value))));
    facts.extend(team.use_of_it());
    tell(invocation, &facts);
    Ok(Exit::Done)
}

/// The devices that the workspace declares; none where the declarations cannot be read.
fn devices(invocation: &Invocation, workspace: &Workspace) -> Vec<String> {
    let found = Declarations::open(invocation, workspace).query("kind(device, //...)").unwrap_or_default();
    found.iter().map(|found| found.label.to_string()).collect()
}

fn shown(value: &Value) -> String {
    match value {
        Value::Null => "none".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) if items.is_empty() => "none".to_owned(),
        Value::Array(items) => items.iter().map(shown).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}
