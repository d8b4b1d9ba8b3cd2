//! `mc test`: runs gates, or recalls what they measured, and shows their tables.

use clap::Args;
use mc_driver::build::outputs::{Gates, build_gates};
use serde_json::json;

use crate::exit::Exit;
use crate::failure::Failure;
use crate::invocation::Invocation;
use crate::render::failure::{json_errors, report_errors};
use crate::render::gates;
use crate::render::progress::Progress;
use crate::render::summary;
use crate::render::warning::texts;
use crate::verb::Run;

/// Run the gates of targets and show what they measured
#[derive(Args)]
#[command(
    before_help = "Examples:\n  mc test                  run every gate of the workspace\n  mc test //models:app -v   run the gates of one target, with all details"
)]
pub(crate) struct Test {
    /// Targets: labels and patterns (see `mc help labels`)
    #[arg(value_name = "PATTERN", default_value = "//...")]
    patterns: Vec<String>,
}

impl Run for Test {
    fn run(&self, invocation: &Invocation) -> Result<Exit, Failure> {
        let progress = Progress::new(&invocation.streams);
        let (declarations, store) = invocation.declarations()?;
        let mut targets = invocation.wanted(&declarations, &self.patterns, &progress)?;
        targets.retain(|target| !target.providers.gates.is_empty());
        let mut engine = invocation.engine(&store, &declarations.remote_cache(), &progress)?;
        let Gates { finished, warnings } = build_gates(&mut engine, targets)?;
        report_errors(invocation, &finished.failures, finished.is_interrupted);
        let exit = Exit::of_build(&finished);
        if invocation.is_json() {
            invocation.json(&json!({
                "status": exit.word(),
                "gates": gates::json(&finished.gates),
                "actions": summary::json(&finished.tally),
                "warnings": texts(&warnings),
                "errors": json_errors(&finished.failures),
            }));
        } else {
            invocation.streams.result_markup(&gates::text(&finished.gates, invocation.streams.width()));
        }
        invocation.streams.note(&format!("{}\n", summary::line(&finished.tally)));
        Ok(exit)
    }
}
