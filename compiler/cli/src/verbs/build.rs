//! `mc build`: builds targets and brings their outputs under `mc-out/`.

use std::path::{Path, PathBuf};

use clap::Args;
use mc_ir::output::Output;
use mc_rules::evaluate::verdict::Verdict;
use serde_json::{Value, json};

use crate::exit::Exit;
use crate::failure::Failure;
use crate::invocation::Invocation;
use crate::render::size::size;
use crate::render::table::{Align, table};
use crate::report::Report;
use crate::verbs::Run;
use crate::wire::declarations::Declarations;
use crate::wire::engine::Engine;
use crate::wire::publish::{Published, directory, path_below_out, publish};
use crate::wire::targets::{Finished, GateResult, Goal, Status, build_targets};
use crate::wire::tensor_reports;
use crate::workspace::Workspace;

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
        let workspace = Workspace::find(&invocation.options)?;
        let declarations = Declarations::open(invocation, &workspace);
        let targets = declarations.wanted(invocation, &self.patterns)?;
        let mut engine = Engine::open_with_team(invocation, &declarations.team_cache())?;
        let mut finished = build_targets(invocation, &engine, targets.clone(), Goal::Outputs)?;
        let mut published = publish_built(&engine, &workspace, &mut finished);
        if published.has_lost_blobs {
            // Blobs that rotted were set aside when they were copied: one more build makes them anew.
            finished = build_targets(invocation, &engine, targets, Goal::Outputs)?;
            published = publish_built(&engine, &workspace, &mut finished);
        }
        let published = published.folders;
        let mut warnings = tensor_reports::warnings(&engine, &finished)?;
        engine.warn_of_damage(invocation);
        let of_team = engine.finish_team(invocation, &mut finished.reports);
        warnings.iter().for_each(|warning| invocation.warn(warning));
        warnings.extend(of_team);
        finished.tell_errors(invocation);
        if invocation.is_json() {
            invocation.json(&document(&engine, &finished, &published, &warnings)?);
        } else {
            invocation.streams.result(&text(&finished, &published, &workspace.root));
        }
        invocation.streams.note(&format!("{}\n", finished.tally.line()));
        Ok(finished.exit())
    }
}

/// The published outputs of each target.
#[derive(Default)]
struct PublishedTargets {
    /// One entry for each target; `None` if it is not published.
    folders: Vec<Option<Published>>,
    /// Blobs turned out to be missing or damaged when they were copied.
    has_lost_blobs: bool,
}

/// Publishes each target that is whole and passed; what cannot be published becomes a failure of its target.
fn publish_built(engine: &Engine, workspace: &Workspace, finished: &mut Finished) -> PublishedTargets {
    let wanted: Vec<usize> =
        (0..finished.targets.len()).filter(|&index| is_to_publish(engine, finished, index)).collect();
    let outputs =
        wanted.iter().map(|&index| (&finished.targets[index].0.label, outputs_of(engine, finished, index)));
    let results = publish(engine, workspace, outputs.collect());
    let mut published = PublishedTargets::default();
    published.folders.resize_with(finished.targets.len(), || None);
    for (index, result) in wanted.into_iter().zip(results) {
        match result {
            Ok(folder) => published.folders[index] = Some(folder),
            Err(error) => {
                published.has_lost_blobs |= error.is_lost_blob();
                let (target, status) = &mut finished.targets[index];
                let report = Report::failed("Cannot put the outputs in place")
                    .at(directory(workspace, &target.label).display())
                    .because(error);
                *status = Status::Failed;
                finished.reports.push(report);
            }
        }
    }
    published
}

/// Tells whether a target has outputs to be published. After an interrupt nothing new appears, even what is whole: the
/// user wanted out.
fn is_to_publish(engine: &Engine, finished: &Finished, index: usize) -> bool {
    let is_built = finished.targets[index].1 == Status::Built && !finished.is_interrupted;
    is_built && !outputs_of(engine, finished, index).is_empty()
}

/// The outputs of a target that come under `mc-out/`, by their paths in its folder.
fn outputs_of(engine: &Engine, finished: &Finished, index: usize) -> Vec<(String, Output)> {
    let (target, _) = &finished.targets[index];
    let comes = |(path, _): &&(String, _)| !engine.leaves(&path_below_out(&target.label, path));
    let outputs = target.providers.outputs.iter().filter(comes).filter_map(|(path, artifact)| {
        finished.output(artifact).map(|output| (path.clone(), output.clone()))
    });
    outputs.collect()
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
        (Status::GateMissed, _) => "  missed a gate; nothing of it is published",
        (Status::Failed, _) => "  was not built",
    }
}

/// The verdicts on a target, also those that another target's line shows.
fn gates_of<'a>(
    finished: &'a Finished,
    target: &'a crate::wire::targets::Wanted,
) -> impl Iterator<Item = &'a GateResult> {
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
    engine: &Engine,
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
        "status": finished.exit().word(),
        "targets": targets,
        "gates": gates(&finished.gates),
        "actions": finished.tally.json(),
        "warnings": warnings,
        "errors": finished.reports.iter().map(crate::report::Report::json).collect::<Vec<_>>(),
    });
    if let Some(traffic) = engine.traffic() {
        document["remote"] = traffic;
    }
    Ok(document)
}

/// The verdicts as JSON.
pub(crate) fn gates(gates: &[GateResult]) -> Vec<Value> {
    let gate = |gate: &GateResult| {
        let Verdict { passed, checks } = &gate.verdict;
        json!({ "label": gate.label.to_string(), "passed": passed, "cached": gate.is_cached, "checks": checks })
    };
    gates.iter().map(gate).collect()
}

fn word(status: Status) -> &'static str {
    match status {
        Status::Built => "built",
        Status::GateMissed => "gate-missed",
        Status::Failed => "failed",
    }
}
