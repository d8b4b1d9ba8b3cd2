//! `mc test`: runs gates, or reads their cached measurements, and shows the results.

use clap::Args;
use mc_driver::build::outputs::{Gates, build_gates};
use serde_json::json;

use crate::exit::Exit;
use crate::failure::Failure;
use crate::invocation::Invocation;
use crate::render::failure::{json_errors, report_errors};
use crate::render::gates::{self, report_gates};
use crate::render::progress::Progress;
use crate::render::summary;
use crate::render::warning::texts;
use crate::report::Report;
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

    /// Succeed if none of the targets has a gate
    #[arg(long)]
    allow_no_tests: bool,
}

impl Run for Test {
    fn run(&self, invocation: &Invocation) -> Result<Exit, Failure> {
        let progress = Progress::of(invocation);
        let (declarations, store) = invocation.declarations()?;
        let mut targets = invocation.wanted(&declarations, &self.patterns, &progress)?;
        targets.retain(|target| !target.providers.gates.is_empty());
        if targets.is_empty() {
            return Ok(self.report_no_tests(invocation));
        }
        let mut engine = invocation.engine(&store, &declarations.remote_cache(), &progress)?;
        let Gates { finished, warnings } = build_gates(&mut engine, targets)?;
        report_errors(invocation, &finished.failures, finished.is_interrupted);
        report_gates(invocation, &finished.gates);
        let exit = Exit::of_build(&finished);
        if invocation.is_json() {
            invocation.json(&json!({
                "status": exit.word(),
                "gates": gates::json(&finished.gates),
                "actions": summary::json(&finished.tally),
                "warnings": texts(&warnings),
                "errors": json_errors(&finished.failures),
            }));
        } else if !finished.is_interrupted {
            invocation.streams.result_markup(&gates::text(&finished.gates, invocation.streams.width()));
        }
        invocation.streams.note(&format!("{}\n", summary::line(&finished.tally)));
        Ok(exit)
    }
}

impl Test {
    /// Reports that no target has a gate. This is an error because otherwise a pattern in CI without gates would always
    /// pass.
    fn report_no_tests(&self, invocation: &Invocation) -> Exit {
        let exit = if self.allow_no_tests { Exit::Done } else { Exit::NoTests };
        let what = format!("No gate is declared for {}", self.patterns.join(" "));
        let report = Report::no_tests(&what)
            .hint("Name a target with a `gate`, or add `--allow-no-tests` if that is intended");
        match (invocation.is_json(), exit) {
            (true, Exit::Done) => {
                invocation.json(&json!({ "status": exit.word(), "gates": [], "errors": [] }));
            }
            (true, _) => {
                let errors = [report.json()];
                invocation.json(&json!({ "status": exit.word(), "gates": [], "errors": errors }));
            }
            (false, Exit::Done) => invocation.streams.result("0 gates\n"),
            (false, _) => invocation.error(&report),
        }
        exit
    }
}
