//! `mc fetch`: brings the files that `mc.lock` pins here, so that builds need no network.

use std::path::PathBuf;

use clap::Args;
use mc_ir::origin::Origin;
use serde_json::json;

use crate::exit::Exit;
use crate::failure::Failure;
use crate::invocation::Invocation;
use crate::render::summary::plural;
use crate::report::Report;
use crate::verbs::Run;
use crate::wire::declarations::Declarations;
use crate::wire::fetching::{bring, read_lock, shown};
use crate::workspace::Workspace;

/// Download the files that mc.lock pins; nothing is fetched twice
#[derive(Args)]
pub(crate) struct Fetch {
    /// Labels and patterns of targets
    #[arg(value_name = "PATTERN", default_value = "//...")]
    patterns: Vec<String>,
}

impl Run for Fetch {
    fn run(&self, invocation: &Invocation) -> Result<Exit, Failure> {
        let workspace = Workspace::find(&invocation.options)?;
        let declarations = Declarations::open(invocation, &workspace);
        let origins = declarations.origins(invocation, &self.patterns)?;
        let lock = read_lock(&workspace)?;
        let unpinned: Vec<&Origin> =
            origins.iter().filter(|origin| !lock.entries.contains_key(*origin)).collect();
        if !unpinned.is_empty() {
            let names: Vec<String> = unpinned.iter().map(ToString::to_string).collect();
            let what = format!(
                "{} origin{} not in `mc.lock`",
                names.len(),
                if names.len() == 1 { " is" } else { "s are" }
            );
            return Err(Report::usage(what).because(names.join("\n")).hint("Run `mc lock`").into());
        }
        let brought = bring(invocation, &workspace, &origins)?;
        if invocation.is_json() {
            let row = |(origin, folder): &(Origin, PathBuf)| json!({ "origin": origin.to_string(), "folder": shown(folder) });
            invocation.json(&json!({
                "status": Exit::Done.word(),
                "fetched": brought.fetched.iter().map(row).collect::<Vec<_>>(),
                "present": brought.present.iter().map(row).collect::<Vec<_>>(),
            }));
            return Ok(Exit::Done);
        }
        for (origin, _) in &brought.fetched {
            invocation.streams.result(&format!("fetched {origin}\n"));
        }
        let n_present = brought.present.len();
        if brought.fetched.is_empty() {
            invocation
                .streams
                .result(&format!("nothing to fetch: {n_present} origin{} here\n", plural(n_present)));
        }
        Ok(Exit::Done)
    }
}
