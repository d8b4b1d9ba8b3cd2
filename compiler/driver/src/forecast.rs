//! Expected durations of the actions of a graph, by the durations that earlier builds recorded in the store.
//!
//! Reads only the sizes of files. Does not affect results; a forecast is for display only.

use std::collections::BTreeMap;
use std::time::Duration;

use mc_digest::digest::Digest;
use mc_ir::action::{ActionNode, Artifact, Input, Source};
use mc_ir::graph::ActionGraph;
use mc_ir::work::Work;
use mc_store::duration_notes::DurationNotes;

/// Expected durations of actions.
#[derive(Clone, Debug, Default)]
pub struct Forecast {
    /// By the structure of an action.
    actions: BTreeMap<Digest, (Work, Expected)>,
}

/// The expected duration of an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expected {
    /// The duration.
    pub duration: Duration,
    /// True if durations of such actions are recorded; otherwise it is a guess.
    pub is_recorded: bool,
}

impl Forecast {
    /// The forecast for a graph.
    pub(crate) fn new(graph: &ActionGraph, notes: &DurationNotes) -> Self {
        let mut sizes = BTreeMap::new();
        let mut actions = BTreeMap::new();
        for node in graph.ids().map(|id| graph.node(id)) {
            let inputs: Vec<u64> = node.inputs.iter().map(|input| size(input, &sizes)).collect();
            let sum = inputs.iter().fold(0u64, |sum, n_bytes| sum.saturating_add(*n_bytes));
            sizes.insert(node.structure(), sum);
            let work = node.action.work(&inputs);
            let recorded = notes.expected(&work.class, work.n_units);
            let duration = recorded.unwrap_or_else(|| work.assumed_duration());
            actions.insert(node.structure(), (work, Expected { duration, is_recorded: recorded.is_some() }));
        }
        Self { actions }
    }

    /// A forecast with given durations, by the structures of actions.
    pub fn of_durations(durations: impl Iterator<Item = (Digest, Duration)>, is_recorded: bool) -> Self {
        let action =
            |(structure, duration)| (structure, (Work::small("unknown"), Expected { duration, is_recorded }));
        Self { actions: durations.map(action).collect() }
    }

    /// The expected duration of an action of the graph.
    pub fn expected(&self, action: &Digest) -> Option<Expected> {
        self.actions.get(action).map(|(_, expected)| *expected)
    }

    /// Number of actions.
    pub fn n_actions(&self) -> usize {
        self.actions.len()
    }

    /// Number of actions of whose kind and size durations are recorded.
    pub fn n_recorded(&self) -> usize {
        self.actions.values().filter(|(_, expected)| expected.is_recorded).count()
    }

    /// Records the duration of an action.
    pub(crate) fn record(&self, notes: &DurationNotes, node: &ActionNode, elapsed: Duration) {
        if let Some((work, _)) = self.actions.get(&node.structure()) {
            notes.record(&work.class, work.n_units, elapsed);
        }
    }
}

/// Bytes of an input: known of a source, and of an output whose action knows its size. Any other output is taken to have
/// as many as everything that its action reads.
fn size(input: &Input, sizes: &BTreeMap<Digest, u64>) -> u64 {
    match input {
        Input::Source(Source { range: Some(range), .. }) => range.end.saturating_sub(range.start),
        Input::Source(Source { path, range: None }) => std::fs::metadata(path).map_or(0, |file| file.len()),
        Input::Artifact(Artifact { node, output }) => {
            let known = node.action.output_size(output);
            known.or_else(|| sizes.get(&node.structure()).copied()).unwrap_or_default()
        }
    }
}
