//! `mc build`: builds targets and brings their outputs under `mc-out/`.

use std::path::{Path, PathBuf};

use clap::Args;
use mc_driver::build::engine::Engine;
use mc_driver::build::outputs::{Outputs, build_outputs};
use mc_driver::build::publish::Published;
use mc_driver::build::targets::{Finished, GateResult, Status};
use mc_driver::declarations::Wanted;
use serde_json::{Value, json};

use crate::exit::Exit;
use crate::failure::Failure;
use crate::invocation::Invocation;
use crate::render::failure::{json_errors, report_errors};
use crate::render::gates::{self, report_gates};
use crate::render::progress::Progress;
use crate::render::size::size;
use crate::render::summary;
use crate::render::table::{Align, table};
use crate::render::warning::texts;
use crate::verb::Run;

/// Build targets; outputs appear under mc-out/PACKAGE/TARGET/
#[derive(Args)]
#[command(
    after_help = "Examples:\n  mc build //models:app        one target\n  mc build //models/...        \
                        everything below a package\n  mc build //...               everything"
)]
pub(crate) struct Build {
    /// Labels and patterns of targets
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
            invocation.streams.result(&text(&finished, &published, &workspace.root));
        }
        invocation.streams.note(&format!("{}\n", summary::line(&finished.tally)));
        Ok(Exit::of_build(&finished))
    }
}

fn text(finished: &Finished, published: &[Option<Published>], root: &Path) -> String {
    let mut text = String::new();
    for ((target, status), published) in finished.targets.iter().zip(published) {
        let n_left = target.providers.outputs.len() - published.as_ref().map_or(0, |it| it.outputs.len());
        text.push_str(&format!(
            "{}{}\n",
            target.label,
            remark(*status, published.is_some(), n_left > 0, finished.is_interrupted)
        ));
        for gate in gates_of(finished, target) {
            text.push_str(&indented(&gate.verdict.table()));
        }
        if let Some(published) = published {
            text.push_str(&indented(&outputs(published)));
            text.push_str(&format!("  in {}/\n", shown(&published.directory, root).display()));
        }
    }
    text
}

fn remark(status: Status, is_published: bool, is_left: bool, is_interrupted: bool) -> &'static str {
    match (status, is_published) {
        (Status::Built, true) if is_left => "  is built; its other outputs stay in the caches",
        (Status::Built, true) => "",
        (Status::Built, false) if !is_left => "  has no outputs",
        (Status::Built, false) if is_interrupted => "  is built; after an interrupt nothing is published",
        (Status::Built, false) => "  is built; its outputs stay in the caches",
        (Status::GateFailed, _) => "  gate failed; nothing of it is published",
        (Status::Failed, _) => "  was not built",
    }
}

/// The verdicts on a target, also those that another target's line shows.
fn gates_of<'a>(finished: &'a Finished, target: &'a Wanted) -> impl Iterator<Item = &'a GateResult> {
    finished.gates.iter().filter(|gate| target.providers.gates.contains(&gate.artifact))
}

fn outputs(published: &Published) -> String {
    let mut rows: Vec<Vec<String>> =
        published.outputs.iter().map(|(path, output)| vec![path.clone(), size(output.n_bytes())]).collect();
    if rows.len() > 1 {
        let total = published.outputs.iter().map(|(_, output)| output.n_bytes()).sum();
        rows.push(vec!["total".to_owned(), size(total)]);
    }
    table(&[Align::Left, Align::Right], &rows)
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("  {line}\n")).collect()
}

/// The path from the current folder's point of view when that is shorter, else as it is.
fn shown(directory: &Path, root: &Path) -> PathBuf {
    let current = std::env::current_dir().unwrap_or_else(|_| root.to_owned());
    directory.strip_prefix(current).unwrap_or(directory).to_owned()
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
