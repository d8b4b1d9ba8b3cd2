//! `mc check`: reports every error in the declarations, without building anything.

use clap::Args;
use mc_analysis::check::{Absence, LeftOut};
use serde_json::{Value, json};

use crate::exit::Exit;
use crate::failure::Failure;
use crate::invocation::Invocation;
use crate::render::diagnostic;
use crate::render::plural::plural;
use crate::render::table::{Align, table};
use crate::verb::Run;

/// Check declarations and report every error; builds nothing
#[derive(Args)]
#[command(
    before_help = "Examples:\n  mc check                check the whole workspace\n  mc check //models/...   check a package and those below it"
)]
pub(crate) struct Check {
    /// Targets: labels and patterns (see `mc help labels`)
    #[arg(value_name = "PATTERN", default_value = "//...")]
    patterns: Vec<String>,
}

impl Run for Check {
    fn run(&self, invocation: &Invocation) -> Result<Exit, Failure> {
        let (declarations, _) = invocation.declarations()?;
        let checked = declarations.check(&self.patterns)?;
        let exit = if checked.has_errors() { Exit::Declaration } else { Exit::Done };
        if invocation.is_json() {
            invocation.json(&json!({
                "status": exit.word(),
                "packages": checked.n_packages,
                "targets": checked.n_targets,
                "diagnostics": diagnostic::json(&checked.diagnostics),
                "more": checked.diagnostics.n_more,
                "left_out": checked.left_out.iter().map(json_left_out).collect::<Vec<_>>(),
            }));
            return Ok(exit);
        }
        diagnostic::tell(invocation, &checked.diagnostics);
        if exit == Exit::Done {
            let (n_packages, n_targets) = (checked.n_packages, checked.n_targets);
            let (packages, targets) = (plural(n_packages), plural(n_targets));
            invocation
                .streams
                .result(&format!("ok: {n_packages} package{packages}, {n_targets} target{targets}\n"));
            invocation.streams.result(&left_out(&checked.left_out));
        }
        Ok(exit)
    }
}

/// The targets that were checked only in part, one per line.
fn left_out(targets: &[LeftOut]) -> String {
    if targets.is_empty() {
        return String::new();
    }
    let row = |target: &LeftOut| {
        let reason = match &target.reason {
            Absence::Files(reason) => reason.clone(),
            Absence::Needs(label) => format!("needs {label}"),
        };
        vec![target.label.to_string(), reason]
    };
    let rows: Vec<Vec<String>> = targets.iter().map(row).collect();
    let table = table(&[Align::Left, Align::Left], &rows);
    let lines: String = table.lines().map(|line| format!("  {line}\n")).collect();
    format!("only the declarations of these were checked, because weights are not here:\n{lines}")
}

fn json_left_out(target: &LeftOut) -> Value {
    let (reason, needs) = match &target.reason {
        Absence::Files(reason) => (Some(reason), None),
        Absence::Needs(label) => (None, Some(label.to_string())),
    };
    json!({ "label": target.label.to_string(), "reason": reason, "needs": needs })
}
