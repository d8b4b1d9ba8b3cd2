//! Builds targets, in one pass if possible, and determines the status of each.

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

/// The requested artifacts of a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Goal {
    /// Its outputs, after its gates passed.
    Outputs,
    /// Its gates only.
    Gates,
}

/// A gate's verdict on a target.
#[derive(Clone, Debug)]
pub struct GateResult {
    /// The first target that requested it.
    pub label: Label,
    /// The artifact of the verdict.
    pub artifact: Artifact,
    /// The measurements.
    pub verdict: Verdict,
    /// True if it came from the cache.
    pub is_cached: bool,
}

/// Status of a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// All requested artifacts are in the store.
    Built,
    /// A gate failed.
    GateFailed,
    /// A step failed, or was not reached.
    Failed,
}

/// A completed build of targets.
pub struct Finished {
    /// The passes, to look up outputs: the last pass that includes a target has its outputs.
    passes: Vec<Pass>,
    /// True if a missed gate stopped an action.
    has_missed_gate: bool,
    /// Each target, in the requested order.
    pub targets: Vec<(Wanted, Status)>,
    /// The verdicts, each once.
    pub gates: Vec<GateResult>,
    /// The failures.
    pub failures: Vec<BuildFailure>,
    /// Counts of actions.
    pub tally: Tally,
    /// True if the build was interrupted.
    pub is_interrupted: bool,
}

impl Finished {
    /// The output of an artifact; `None` if it was not built.
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

/// Builds the targets. A missed gate stops only its own target.
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
        // An interrupt that came too late to stop anything still counts.
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
        // A missed gate stopped the pass before the other targets were complete; without it they can continue.
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

/// The artifacts whose bytes are needed here: those that `mc` itself reads, and the outputs that do not stay in the
/// remote cache.
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

/// Returns true if a part of the target is missing although none of its own gates failed.
fn is_open(engine: &Engine<'_>, pass: &Pass, target: &Wanted, goal: Goal) -> bool {
    let is_missed = target.providers.gates.iter().filter_map(|gate| pass.output(gate)).any(|output| {
        // An unreadable verdict is reported when the target's status is determined.
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

    /// The status of an incomplete target without a failure: another target's gate stopped it.
    fn unfinished(&self) -> Status {
        if self.failures.is_empty() && self.has_missed_gate { Status::GateFailed } else { Status::Failed }
    }
}
