//! `mc build`: builds targets and publishes their outputs below `mc-out/`.

use clap::Args;
use mc_driver::build::engine::Engine;
use mc_driver::build::outputs::{Outputs, build_outputs};
use mc_driver::build::publish::Published;
use mc_driver::build::targets::{Finished, Status};
use serde_json::{Value, json};

use crate::exit::Exit;
use crate::failure::Failure;
use crate::invocation::Invocation;
use crate::render::failure::{json_errors, report_errors};
use crate::render::gates::{self, report_gates};
use crate::render::progress::Progress;
use crate::render::summary;
use crate::render::targets::{self, Form};
use crate::render::warning::texts;
use crate::verb::Run;

/// Build targets; their outputs appear under mc-out/PACKAGE/TARGET/
#[derive(Args)]
#[command(
    before_help = "Examples:\n  mc build //models:app      build one target\n  mc build //models/... -k   build a package and those below it, past failures"
)]
pub(crate) struct Build {
    /// Targets: labels and patterns (see `mc help labels`)
    #[arg(required = true, value_name = "PATTERN")]
    patterns: Vec<String>,
}

impl Run for Build {
    fn run(&self, invocation: &Invocation) -> Result<Exit, Failure> {
        let progress = Progress::of(invocation);
        let (declarations, store) = invocation.declarations()?;
        let targets = invocation.wanted(&declarations, &self.patterns, &progress)?;
        let mut engine = invocation.engine(&store, &declarations.remote_cache(), &progress)?;
        let workspace = declarations.workspace();
        let Outputs { finished, published, warnings } = build_outputs(&mut engine, workspace, targets)?;
        report_errors(invocation, &finished.failures, finished.is_interrupted);
        report_gates(invocation, &finished.gates);
        if invocation.is_json() {
            invocation.json(&document(&engine, &finished, &published, &texts(&warnings))?);
        } else if !finished.is_interrupted {
            let form = Form { width: invocation.streams.width(), is_verbose: invocation.options.verbose };
            let text = targets::text(&finished, &published, &workspace.root, form);
            invocation.streams.result_markup(&text);
        }
        invocation.streams.note(&format!("{}\n", summary::line(&finished.tally)));
        Ok(Exit::of_build(&finished))
    }
}

fn document(
    engine: &Engine<'_>,
    finished: &Finished,
    published: &[Option<Published>],
    warnings: &[String],
) -> Result<Value, Failure> {
    let mut targets = Vec::new();
    for ((target, status), published) in finished.targets.iter().zip(published) {
        let mut outputs = Vec::new();
        for (path, output) in published.iter().flat_map(|published| &published.outputs) {
            let digest = engine.digest(output)?.to_string();
            outputs.push(json!({ "path": path, "size": output.n_bytes(), "digest": digest }));
        }
        targets.push(json!({
            "label": target.label.to_string(),
            "status": word(*status),
            "directory": published.as_ref().map(|published| published.directory.display().to_string()),
            "outputs": outputs,
        }));
    }
    let mut document = json!({
        "status": Exit::of_build(finished).word(),
        "targets": targets,
        "gates": gates::json(&finished.gates),
        "actions": summary::json(&finished.tally),
        "warnings": warnings,
        "errors": json_errors(&finished.failures),
    });
    if let Some(traffic) = engine.traffic() {
        document["remote"] = json!({ "bytes_down": traffic.n_bytes_down, "bytes_up": traffic.n_bytes_up });
    }
    Ok(document)
}

fn word(status: Status) -> &'static str {
    match status {
        Status::Built => "built",
        Status::GateFailed => "gate-failed",
        Status::Failed => "failed",
    }
}
