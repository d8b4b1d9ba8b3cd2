//! `mc fetch`: downloads the files that `mc.lock` pins, so that builds need no network.

use std::path::PathBuf;

use clap::Args;
use mc_driver::fetching::files::fetch;
use mc_ir::origin::Origin;
use serde_json::json;

use crate::exit::Exit;
use crate::failure::Failure;
use crate::invocation::Invocation;
use crate::render::path::shown;
use crate::render::plural::plural;
use crate::render::progress::Progress;
use crate::verb::Run;

/// Download the files that mc.lock pins
#[derive(Args)]
#[command(
    before_help = "Examples:\n  mc fetch                download for every target\n  mc fetch //models:app   download what one target needs"
)]
pub(crate) struct Fetch {
    /// Targets: labels and patterns (see `mc help labels`)
    #[arg(value_name = "PATTERN", default_value = "//...")]
    patterns: Vec<String>,
}

impl Run for Fetch {
    fn run(&self, invocation: &Invocation) -> Result<Exit, Failure> {
        let progress = Progress::of(invocation);
        let (declarations, store) = invocation.declarations()?;
        let origins = declarations.origins(&self.patterns)?;
        let settings = invocation.options.fetch.settings();
        let brought = fetch(declarations.workspace(), &store, &origins, &settings, &progress)?;
        invocation.keep_within_limit(&declarations, &store, &progress)?;
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
