//! Builds targets: one pass where it can be, and the fate of each target.

use std::collections::BTreeSet;
use std::mem::take;
use std::sync::{Mutex, PoisonError};

use mc_digest::digest::Digest;
use mc_ir::action::{ActionError, Artifact};
use mc_ir::label::Label;
use mc_ir::output::Output;
use mc_rules::evaluate::verdict::Verdict;
use mc_rules::export::export_info::ExportInfo;

use crate::build::engine::{Engine, Pass};
use crate::build::error::EngineError;
use crate::build::failure::BuildFailure;
use crate::build::publish::path_below_out;
use crate::build::tally::{ActionOutcome, Tally};
use crate::declarations::Wanted;
use crate::event::Event;

/// The artifacts of a target that are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Goal {
    /// Its outputs, once its gates are passed.
    Outputs,
    /// Its gates only.
    Gates,
}

/// A gate's verdict on a target.
#[derive(Clone, Debug)]
pub struct GateResult {
    /// The target that asked for it first.
    pub label: Label,
    /// The verdict in the graph.
    pub artifact: Artifact,
    /// The measurements.
    pub verdict: Verdict,
    /// True if it was known before.
    pub is_cached: bool,
}

/// The fate of a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Everything asked for is in the store.
    Built,
    /// A gate failed.
    GateFailed,
    /// A step failed, or was not reached.
    Failed,
}

/// A build of targets, ended.
pub struct Finished {
    /// The passes, for looking outputs up: the last one in which a target took part has them.
    passes: Vec<Pass>,
    /// True if a gate stopped an action.
    has_missed_gate: bool,
    /// Each target, in the order asked for.
    pub targets: Vec<(Wanted, Status)>,
    /// The verdicts, each once.
    pub gates: Vec<GateResult>,
    /// The failures.
    pub failures: Vec<BuildFailure>,
    /// Counts of actions.
    pub tally: Tally,
    /// True if somebody stopped the build.
    pub is_interrupted: bool,
}

impl Finished {
    /// The output that an artifact stands for; `None` if it was not built.
    pub fn output(&self, artifact: &Artifact) -> Option<&Output> {
        self.passes.iter().rev().find_map(|pass| pass.output(artifact))
    }

    /// The results that the outputs and gates of a target came of, directly or not, sorted.
    pub(crate) fn results_behind(&self, target: &Wanted) -> Vec<Digest> {
        let wanted = artifacts(target, Goal::Outputs);
        let behind = |pass: &Pass| pass.built.results_behind(&pass.graph, wanted.iter());
        let results: BTreeSet<Digest> =
            self.passes.iter().flat_map(behind).map(|result| result.hash).collect();
        results.into_iter().collect()
    }
}

/// Builds the targets. A missed gate stops nothing but its own target.
///
/// # Errors
/// If the build cannot begin, or a result cannot be read. Failures of actions are in [`Finished`].
pub fn build_targets(engine: &Engine<'_>, targets: Vec<Wanted>, goal: Goal) -> Result<Finished, EngineError> {
    let tally = Mutex::default();
    let passes = passes(engine, &targets, goal, &tally);
    engine.events.event(Event::BuildPaused);
    let mut passes = passes?;
    let (gates, failures): (Vec<_>, Vec<_>) = passes
        .iter_mut()
        .flat_map(|pass| take(&mut pass.built.failures))
        .partition(|failure| is_missed_gate(&failure.error));
    let mut finished = Finished {
        has_missed_gate: !gates.is_empty(),
        failures: failures.into_iter().map(BuildFailure::from).collect(),
        // Whoever asked for an end too late to stop anything wants out all the same.
        is_interrupted: engine.is_interrupted() || passes.iter().any(|pass| pass.built.is_interrupted),
        passes,
        targets: Vec::new(),
        gates: Vec::new(),
        tally: tally.into_inner().unwrap_or_else(PoisonError::into_inner),
    };
    finished.judge(engine, targets, goal)?;
    Ok(finished)
}

fn passes(
    engine: &Engine<'_>,
    targets: &[Wanted],
    goal: Goal,
    tally: &Mutex<Tally>,
) -> Result<Vec<Pass>, EngineError> {
    let mut passes = Vec::new();
    let mut pending = targets.to_vec();
    loop {
        let artifacts: Vec<Artifact> = pending.iter().flat_map(|target| artifacts(target, goal)).collect();
        let read: Vec<Artifact> = pending.iter().flat_map(|target| read(engine, target, goal)).collect();
        let pass = engine.build(&artifacts, &read, tally)?;
        let only_gates = !pass.built.failures.is_empty()
            && !pass.built.is_interrupted
            && pass.built.failures.iter().all(|failure| is_missed_gate(&failure.error));
        let mut rest = pending.clone();
        rest.retain(|target| is_open(engine, &pass, target, goal));
        passes.push(pass);
        // A missed gate stopped the pass before the others were done; without it they can go on.
        if !only_gates || rest.is_empty() || rest.len() == pending.len() {
            return Ok(passes);
        }
        pending = rest;
    }
}

fn artifacts(target: &Wanted, goal: Goal) -> Vec<Artifact> {
    let outputs = match goal {
        Goal::Outputs => target.providers.outputs.as_slice(),
        Goal::Gates => &[],
    };
    outputs.iter().map(|(_, artifact)| artifact).chain(&target.providers.gates).cloned().collect()
}

/// The artifacts whose bytes are wanted here: those that `mc` itself reads, and the outputs that do not stay in the remote cache.
fn read(engine: &Engine<'_>, target: &Wanted, goal: Goal) -> Vec<Artifact> {
    let Wanted { label, providers } = target;
    let outputs = match goal {
        Goal::Outputs => providers.outputs.as_slice(),
        Goal::Gates => &[],
    };
    let comes = |(path, _): &&(String, Artifact)| !engine.leaves(&path_below_out(label, path));
    let reports = match goal {
        Goal::Outputs => providers.get::<ExportInfo>().map(|info| info.reports.clone()),
        Goal::Gates => None,
    };
    let outputs = outputs.iter().filter(comes).map(|(_, artifact)| artifact);
    outputs.chain(&providers.gates).cloned().chain(reports).collect()
}

fn is_missed_gate(error: &ActionError) -> bool {
    matches!(error, ActionError::GateMissed(_))
}

/// Returns true if something of the target is missing though no gate of its own is missed.
fn is_open(engine: &Engine<'_>, pass: &Pass, target: &Wanted, goal: Goal) -> bool {
    let is_missed = target.providers.gates.iter().filter_map(|gate| pass.output(gate)).any(|output| {
        // A verdict that cannot be read is told when the target is judged.
        engine.verdict(output).is_ok_and(|verdict| !verdict.passed)
    });
    !is_missed && artifacts(target, goal).iter().any(|artifact| pass.output(artifact).is_none())
}

impl Finished {
    fn judge(&mut self, engine: &Engine<'_>, targets: Vec<Wanted>, goal: Goal) -> Result<(), EngineError> {
        for target in targets {
            let mut is_missed = false;
            for gate in &target.providers.gates {
                let Some(output) = self.output(gate) else { continue };
                let verdict = engine.verdict(output)?;
                is_missed |= !verdict.passed;
                if !self.gates.iter().any(|judged| judged.artifact == *gate) {
                    let is_cached = self.tally.outcome(gate.node.structure()) == Some(ActionOutcome::Hit);
                    let (label, artifact) = (target.label.clone(), gate.clone());
                    self.gates.push(GateResult { label, artifact, verdict, is_cached });
                }
            }
            let is_whole = artifacts(&target, goal).iter().all(|artifact| self.output(artifact).is_some());
            let status = match (is_missed, is_whole) {
                (true, _) => Status::GateFailed,
                (false, true) => Status::Built,
                (false, false) => self.unfinished(),
            };
            self.targets.push((target, status));
        }
        self.tally.n_failed_gates = self.gates.iter().filter(|gate| !gate.verdict.passed).count();
        Ok(())
    }

    /// A target that is not whole though nothing failed hangs on another's missed gate.
    fn unfinished(&self) -> Status {
        if self.failures.is_empty() && self.has_missed_gate { Status::GateFailed } else { Status::Failed }
    }
}
