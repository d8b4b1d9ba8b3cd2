//! `mc info`: version, locations and features of this mc; `mc info remote`: the features negotiated with the remote
//! cache.

use clap::{Args, ValueEnum};
use mc_driver::declarations::Declarations;
use mc_driver::remote_cache::cache::RemoteCache;
use mc_driver::settings::keys::Keys;
use mc_driver::settings::remote::RemoteSettings;
use mc_driver::store::Store;
use mc_remote::error::RemoteError;
use mc_remote::function::DigestFunction;
use mc_rules::rules::RULES;
use mc_tensor::cpu_path::CpuPath;
use regex::Regex;
use serde_json::{Value, json};

use crate::exit::Exit;
use crate::failure::Failure;
use crate::interrupt::interrupt;
use crate::invocation::Invocation;
use crate::options::build::cache_settings;
use crate::render::progress::Progress;
use crate::render::table::{Align, table};
use crate::report::Report;
use crate::verb::Run;

/// Show version, workspace, store, CPU features and rules
#[derive(Args)]
#[command(
    before_help = "Examples:\n  mc info          facts about this mc\n  mc info remote   what the remote cache supports"
)]
pub(crate) struct Info {
    /// Subject: `remote` asks the remote cache what it supports
    topic: Option<Topic>,
}

/// A subject to show in detail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Topic {
    /// The remote cache: its address, its features and how they are used.
    Remote,
}

impl Run for Info {
    fn run(&self, invocation: &Invocation) -> Result<Exit, Failure> {
        // Outside a workspace, the other facts are still shown.
        let workspace = invocation.options.find_workspace().ok();
        let store = invocation.options.store();
        let declarations = workspace.as_ref().map(|workspace| Declarations::open(workspace, &store));
        if self.topic == Some(Topic::Remote) {
            return remote(invocation, declarations.as_ref(), &store);
        }
        let cache = store.dir()?;
        let rules: Vec<&str> = RULES.iter().map(|rule| rule.schema().name).collect();
        let cpu_path = CpuPath::detect().name();
        let cpu_paths: Vec<&str> = CpuPath::available().into_iter().map(CpuPath::name).collect();
        let facts = [
            ("version", json!(env!("CARGO_PKG_VERSION"))),
            ("workspace", json!(workspace.as_ref().map(|workspace| workspace.root.display().to_string()))),
            ("cache", json!(cache.display().to_string())),
            ("store format", json!(store.format())),
            ("jobs", json!(invocation.options.n_jobs())),
            ("backends", json!(["cpu"])),
            ("cpu path", json!(cpu_path)),
            ("cpu paths", json!(cpu_paths)),
            ("rules", json!(rules)),
            ("devices", json!(declarations.as_ref().map(devices))),
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

/// Asks the remote cache for its capabilities.
fn remote(
    invocation: &Invocation,
    declarations: Option<&Declarations>,
    store: &Store,
) -> Result<Exit, Failure> {
    let progress = Progress::of(invocation);
    let declared = declarations.map(Declarations::remote_cache).unwrap_or_default();
    let store = store.open()?;
    let settings = cache_settings(&invocation.options, &declared)?;
    let Some(cache) = RemoteCache::open(&settings, &store, &interrupt(), &progress)? else {
        let report = Report::usage("There is no remote cache")
            .hint("Name it with `--remote-cache URL`, or in workspace.kdl: cache { remote \"URL\" }");
        return Err(report.into());
    };
    let failed = |error: RemoteError| {
        Report::failed(format!("Cannot use the remote cache {}", cache.name())).because(error)
    };
    let function = match cache.function().map_err(failed)? {
        DigestFunction::Blake3 => "BLAKE3",
        DigestFunction::Sha256 => "SHA-256",
    };
    let mut facts = vec![("address", json!(cache.name())), ("digest function", json!(function))];
    facts.extend(cache.details().map_err(failed)?.into_iter().map(|(name, value)| (name, json!(value))));
    facts.extend(use_of(&cache, &settings.keys));
    tell(invocation, &facts);
    Ok(Exit::Done)
}

/// The settings for the remote cache.
fn use_of(cache: &RemoteCache, keys: &Keys) -> Vec<(&'static str, Value)> {
    let RemoteSettings { accept, sends_behind, required, download, download_regex, n_askers, .. } =
        cache.settings();
    let fetched: Vec<&str> = download_regex.iter().map(Regex::as_str).collect();
    vec![
        ("results are taken", json!(accept)),
        ("results are sent", json!(cache.sends())),
        ("sending is waited for", json!(if *sends_behind { "at the end" } else { "step by step" })),
        ("outputs fetched", json!(download.word())),
        ("fetched in any case", json!(fetched)),
        ("required", json!(required)),
        ("signs", json!(keys.signing.is_some())),
        ("signatures from", json!(keys.require_signed.as_ref().map(|path| path.display().to_string()))),
        ("look-ups at a time", json!(n_askers)),
    ]
}

/// The devices that the workspace declares; empty if the declarations cannot be read.
fn devices(declarations: &Declarations) -> Vec<String> {
    let found = declarations.query("kind(device, //...)").unwrap_or_default();
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
