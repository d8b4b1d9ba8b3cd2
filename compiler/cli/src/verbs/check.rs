//! `mc check`: every mistake in the declarations, without building anything.

use clap::Args;
use serde_json::json;

use crate::exit::Exit;
use crate::failure::Failure;
use crate::invocation::Invocation;
use crate::render::diagnostic;
use crate::render::plural::plural;
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
        }
        Ok(exit)
    }
}
