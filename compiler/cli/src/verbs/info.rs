//! `mc info`: which mc this is, and where it looks.

use clap::Args;
use mc_rules::rules::RULES;
use mc_tensor::cpu_path::CpuPath;
use serde_json::{Value, json};

use crate::exit::Exit;
use crate::failure::Failure;
use crate::invocation::Invocation;
use crate::render::table::{Align, table};
use crate::verbs::Run;
use crate::wire::declarations::Declarations;
use crate::workspace::{Workspace, cache_dir};

/// Show the version, the workspace, the store, CPU paths, rules and devices
#[derive(Args)]
pub(crate) struct Info {}

impl Run for Info {
    fn run(&self, invocation: &Invocation) -> Result<Exit, Failure> {
        // Outside a workspace there is still something to tell.
        let workspace = Workspace::find(&invocation.options).ok();
        let cache = cache_dir(&invocation.options)?;
        let store_format =
            std::fs::read_to_string(cache.join("VERSION")).ok().map(|version| version.trim().to_owned());
        let rules: Vec<&str> = RULES.iter().map(|rule| rule.schema().name).collect();
        let cpu_path = CpuPath::detect().name();
        let cpu_paths: Vec<&str> = CpuPath::available().into_iter().map(CpuPath::name).collect();
        let facts = [
            ("version", json!(env!("CARGO_PKG_VERSION"))),
            ("workspace", json!(workspace.as_ref().map(|workspace| &workspace.root))),
            ("cache", json!(cache)),
            ("store format", json!(store_format)),
            ("jobs", json!(invocation.options.n_jobs())),
            ("backends", json!(["cpu"])),
            ("cpu path", json!(cpu_path)),
            ("cpu paths", json!(cpu_paths)),
            ("rules", json!(rules)),
            ("devices", json!(workspace.as_ref().map(|workspace| devices(invocation, workspace)))),
        ];
        if invocation.is_json() {
            let object: serde_json::Map<String, Value> =
                facts.into_iter().map(|(name, value)| (name.replace(' ', "_"), value)).collect();
            invocation.json(&object);
        } else {
            let rows: Vec<Vec<String>> =
                facts.iter().map(|(name, value)| vec![(*name).to_owned(), shown(value)]).collect();
            invocation.streams.result(&table(&[Align::Left, Align::Left], &rows));
        }
        Ok(Exit::Done)
    }
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
