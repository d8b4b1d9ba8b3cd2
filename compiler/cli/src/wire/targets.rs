//! Builds targets: one pass where it can be, and what became of each target.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use mc_ir::action::{ActionError, Artifact};
use mc_ir::label::Label;
use mc_ir::provider::Providers;
use mc_rules::evaluate::verdict::Verdict;
use mc_rules::export::gguf::GgufInfo;

use crate::exit::Exit;
use crate::failure::Failure;
use crate::interrupt;
use crate::invocation::Invocation;
use crate::render::lines;
use crate::render::progress::Progress;
use crate::render::summary::{Fate, Tally};
use crate::report::Report;
use crate::wire::engine::{Engine, Pass, action_report};
use crate::wire::publish::path_below_out;

/// A target that was asked for, analysed.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    /// Its name.
    pub(crate) label: Label,
    /// What it provides.
    pub(crate) providers: Arc<Providers>,
}

/// Which artifacts of a target are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Goal {
    /// Its outputs, once its gates are passed.
    Outputs,
    /// Its gates only.
    Gates,
}

/// A gate's verdict on a target.
#[derive(Clone, Debug)]
pub(crate) struct GateResult {
    /// The target that asked for it first.
    pub(crate) label: Label,
    /// The verdict in the graph.
    pub(crate) artifact: Artifact,
    /// What was measured.
    pub(crate) verdict: Verdict,
    /// Whether it was known before.
    pub(crate) is_cached: bool,
}

/// What became of a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    /// Everything asked for is in the store.
    Built,
    /// A gate was missed.
    GateMissed,
    /// A step failed, or was not reached.
    Failed,
}

/// A build of targets, ended.
pub(crate) struct Finished {
    /// Where to look outputs up: the last pass in which a target took part.
    passes: Vec<Pass>,
    /// Each target, in the order asked for.
    pub(crate) targets: Vec<(Wanted, Status)>,
    /// The verdicts, each once.
    pub(crate) gates: Vec<GateResult>,
    /// What failed.
    pub(crate) reports: Vec<Report>,
    /// What was done.
    pub(crate) tally: Tally,
    /// Whether the user stopped it.
    pub(crate) is_interrupted: bool,
}

impl Finished {
    /// What an artifact became.
    pub(crate) fn output(&self, artifact: &Artifact) -> Option<&mc_ir::output::Output> {
        self.passes.iter().rev().find_map(|pass| pass.output(artifact))
    }

    /// How `mc` ends: what hinders the user most comes first.
    pub(crate) fn exit(&self) -> Exit {
        let has = |wanted| self.targets.iter().any(|(_, status)| *status == wanted);
        match () {
            () if self.is_interrupted => Exit::Interrupted,
            () if !self.reports.is_empty() || has(Status::Failed) => Exit::Failed,
            () if has(Status::GateMissed) || self.gates.iter().any(|gate| !gate.verdict.passed) => {
                Exit::GateMissed
            }
            () => Exit::Done,
        }
    }

    /// Writes every error.
    pub(crate) fn tell_errors(&self, invocation: &Invocation) {
        write_errors(invocation, &self.reports, self.is_interrupted);
    }
}

/// Builds the targets. A missed gate stops nothing but its own target.
pub(crate) fn build_targets(
    invocation: &Invocation,
    engine: &Engine,
    targets: Vec<Wanted>,
    goal: Goal,
) -> Result<Finished, Failure> {
    let progress = Progress::new(&invocation.streams);
    let mut passes = Vec::new();
    let mut pending = targets.clone();
    loop {
        let artifacts: Vec<Artifact> = pending.iter().flat_map(|target| artifacts(target, goal)).collect();
        let read: Vec<Artifact> = pending.iter().flat_map(|target| read(engine, target, goal)).collect();
        let pass = engine.build(&artifacts, &read, &progress)?;
        let only_gates = !pass.built.failures.is_empty()
            && !pass.built.is_interrupted
            && pass.built.failures.iter().all(|failure| is_missed_gate(&failure.error));
        let mut rest = pending.clone();
        rest.retain(|target| is_open(engine, &pass, target, goal));
        passes.push(pass);
        // A missed gate stopped the pass before the others were done; without it they can go on.
        if !only_gates || rest.is_empty() || rest.len() == pending.len() {
            break;
        }
        pending = rest;
    }
    let tally = progress.finish();
    let mut finished = Finished {
        reports: reports(&passes),
        // Whoever asked for an end too late to stop anything wants out all the same.
        is_interrupted: interrupt::cancelled().load(Ordering::Relaxed)
            || passes.iter().any(|pass| pass.built.is_interrupted),
        passes,
        targets: Vec::new(),
        gates: Vec::new(),
        tally,
    };
    finished.judge(engine, targets, goal)?;
    Ok(finished)
}

fn artifacts(target: &Wanted, goal: Goal) -> Vec<Artifact> {
    let outputs = match goal {
        Goal::Outputs => target.providers.outputs.as_slice(),
        Goal::Gates => &[],
    };
    outputs.iter().map(|(_, artifact)| artifact).chain(&target.providers.gates).cloned().collect()
}

/// What is wanted here of a target: what `mc` itself reads, and the outputs that do not stay in the team's cache.
fn read(engine: &Engine, target: &Wanted, goal: Goal) -> Vec<Artifact> {
    let Wanted { label, providers } = target;
    let outputs = match goal {
        Goal::Outputs => providers.outputs.as_slice(),
        Goal::Gates => &[],
    };
    let comes = |(path, _): &&(String, Artifact)| !engine.leaves(&path_below_out(label, path));
    let reports = match goal {
        Goal::Outputs => providers.get::<GgufInfo>().map(|info| info.reports.clone()),
        Goal::Gates => None,
    };
    let outputs = outputs.iter().filter(comes).map(|(_, artifact)| artifact);
    outputs.chain(&providers.gates).cloned().chain(reports).collect()
}

fn is_missed_gate(error: &ActionError) -> bool {
    matches!(error, ActionError::GateMissed(_))
}

/// Whether something of the target is missing though no gate of its own is missed.
fn is_open(engine: &Engine, pass: &Pass, target: &Wanted, goal: Goal) -> bool {
    let is_missed = target.providers.gates.iter().filter_map(|gate| pass.output(gate)).any(|output| {
        // A verdict that cannot be read is told when the target is judged.
        engine.verdict(output).is_ok_and(|verdict| !verdict.passed)
    });
    !is_missed && artifacts(target, goal).iter().any(|artifact| pass.output(artifact).is_none())
}

/// Why a pass did not give what it was asked for.
pub(crate) fn unbuilt(pass: &Pass) -> Vec<Report> {
    reports(std::slice::from_ref(pass))
}

/// Writes why something was not built, and says how `mc` ends.
pub(crate) fn tell(invocation: &Invocation, reports: &[Report], is_interrupted: bool) -> Failure {
    write_errors(invocation, reports, is_interrupted);
    let exit = if is_interrupted { Exit::Interrupted } else { Exit::Failed };
    if invocation.is_json() {
        let errors: Vec<_> = reports.iter().map(Report::json).collect();
        invocation.json(&serde_json::json!({ "status": exit.word(), "errors": errors }));
    }
    Failure::Told(exit)
}

fn write_errors(invocation: &Invocation, reports: &[Report], is_interrupted: bool) {
    for report in reports {
        invocation.error(report);
    }
    if is_interrupted {
        invocation.streams.error("interrupted: every step that had finished is kept\n");
    }
}

/// Each failed step once; missed gates are told by their tables.
fn reports(passes: &[Pass]) -> Vec<Report> {
    let failures = passes.iter().flat_map(|pass| &pass.built.failures);
    failures
        .filter(|failure| !is_missed_gate(&failure.error))
        .map(|failure| {
            let what = format!("Cannot build `{}`", failure.node.label);
            action_report(&what, &failure.error).at(lines::step(&failure.node))
        })
        .collect()
}

impl Finished {
    fn judge(&mut self, engine: &Engine, targets: Vec<Wanted>, goal: Goal) -> Result<(), Failure> {
        for target in targets {
            let mut is_missed = false;
            for gate in &target.providers.gates {
                let Some(output) = self.output(gate) else { continue };
                let verdict = engine.verdict(output)?;
                is_missed |= !verdict.passed;
                if !self.gates.iter().any(|judged| judged.artifact == *gate) {
                    let is_cached = self.tally.fate(gate.node.structure()) == Some(Fate::Hit);
                    let (label, artifact) = (target.label.clone(), gate.clone());
                    self.gates.push(GateResult { label, artifact, verdict, is_cached });
                }
            }
            let is_whole = artifacts(&target, goal).iter().all(|artifact| self.output(artifact).is_some());
            let status = match (is_missed, is_whole) {
                (true, _) => Status::GateMissed,
                (false, true) => Status::Built,
                (false, false) => self.unfinished(),
            };
            self.targets.push((target, status));
        }
        Ok(())
    }

    /// A target that is not whole though nothing failed hangs on another's missed gate.
    fn unfinished(&self) -> Status {
        let is_gate = self.reports.is_empty()
            && self
                .passes
                .iter()
                .flat_map(|pass| &pass.built.failures)
                .any(|failure| is_missed_gate(&failure.error));
        if is_gate { Status::GateMissed } else { Status::Failed }
    }
}
