//! `mc test`: runs gates, or recalls what they measured, and shows their tables.

use clap::Args;
use serde_json::json;

use crate::exit::Exit;
use crate::failure::Failure;
use crate::invocation::Invocation;
use crate::render::summary::plural;
use crate::verbs::{Run, build};
use crate::wire::declarations::Declarations;
use crate::wire::engine::Engine;
use crate::wire::targets::{Finished, Goal, build_targets};
use crate::workspace::Workspace;

/// Run the gates of targets and show what they measured
#[derive(Args)]
pub(crate) struct Test {
    /// Labels and patterns of targets
    #[arg(value_name = "PATTERN", default_value = "//...")]
    patterns: Vec<String>,
}

impl Run for Test {
    fn run(&self, invocation: &Invocation) -> Result<Exit, Failure> {
        let workspace = Workspace::find(&invocation.options)?;
        let declarations = Declarations::open(invocation, &workspace);
        let mut targets = declarations.wanted(invocation, &self.patterns)?;
        targets.retain(|target| !target.providers.gates.is_empty());
        let mut engine = Engine::open_with_team(invocation, &declarations.team_cache())?;
        let mut finished = build_targets(invocation, &engine, targets, Goal::Gates)?;
        engine.warn_of_damage(invocation);
        let warnings = engine.finish_team(invocation, &mut finished.reports);
        finished.tell_errors(invocation);
        if invocation.is_json() {
            invocation.json(&json!({
                "status": finished.exit().word(),
                "gates": build::gates(&finished.gates),
                "actions": finished.tally.json(),
                "warnings": warnings,
                "errors": finished.reports.iter().map(crate::report::Report::json).collect::<Vec<_>>(),
            }));
        } else {
            invocation.streams.result(&text(&finished));
        }
        invocation.streams.note(&format!("{}\n", finished.tally.line()));
        Ok(finished.exit())
    }
}

fn text(finished: &Finished) -> String {
    let mut text = String::new();
    for gate in &finished.gates {
        let word = if gate.verdict.passed { "passed" } else { "MISSED" };
        let cached = if gate.is_cached { " (cached)" } else { "" };
        text.push_str(&format!("{}  {word}{cached}\n", gate.label));
        text.extend(gate.verdict.table().lines().map(|line| format!("  {line}\n")));
    }
    let n_gates = finished.gates.len();
    let n_missed = finished.gates.iter().filter(|gate| !gate.verdict.passed).count();
    text.push_str(&format!(
        "{n_gates} gate{}: {} passed, {n_missed} missed\n",
        plural(n_gates),
        n_gates - n_missed
    ));
    text
}
