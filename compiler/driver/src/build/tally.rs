//! Counts of a build: which actions were hits and which ran, by kind.

use std::collections::BTreeMap;

use mc_digest::digest::Digest;
use mc_execute::event::{Event, Origin};

/// Outcome of one action.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ActionOutcome {
    /// Found in the cache.
    Hit,
    /// Fetched from the remote cache.
    Fetched,
    /// Ran now, on a worker.
    RanRemotely,
    /// Ran now, on this machine.
    Ran,
    /// Ran and failed.
    Failed,
}

impl ActionOutcome {
    fn of(origin: Origin) -> Self {
        match origin {
            Origin::Hit => Self::Hit,
            Origin::Fetched => Self::Fetched,
            Origin::RanRemotely => Self::RanRemotely,
            Origin::Ran => Self::Ran,
        }
    }
}

/// Ran now, on any machine.
pub const RAN: &[ActionOutcome] = &[ActionOutcome::RanRemotely, ActionOutcome::Ran];

/// Counts every action of a command once, even if several passes include it.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    // Keyed by structure: an action that ran in one pass and was a hit in the next counts as run.
    actions: BTreeMap<Digest, (&'static str, ActionOutcome)>,
    /// Number of gates that failed.
    pub n_failed_gates: usize,
}

impl Tally {
    /// Counts an event of a build.
    pub fn event(&mut self, event: &Event) {
        let (node, outcome) = match event {
            Event::Finished { node, origin, .. } => (node, ActionOutcome::of(*origin)),
            Event::Failed { node, is_gate: false, .. } => (node, ActionOutcome::Failed),
            // An action that a failed gate held back did not fail.
            Event::Failed { .. }
            | Event::Planned { .. }
            | Event::Queued { .. }
            | Event::Started { .. }
            | Event::Progressed { .. } => return,
        };
        self.add(node.structure(), node.action.kind().name, outcome);
    }

    /// Records the outcome of an action.
    pub fn add(&mut self, structure: Digest, kind: &'static str, outcome: ActionOutcome) {
        let action = self.actions.entry(structure).or_insert((kind, outcome));
        // An action that failed because the remote cache lost a blob runs in the next attempt.
        action.1 = if action.1 == ActionOutcome::Failed { outcome } else { action.1.max(outcome) };
    }

    /// The outcome of an action, if it was recorded.
    pub fn outcome(&self, structure: Digest) -> Option<ActionOutcome> {
        self.actions.get(&structure).map(|(_, outcome)| *outcome)
    }

    /// Number of actions with this outcome.
    pub fn count(&self, outcome: ActionOutcome) -> usize {
        self.actions.values().filter(|action| action.1 == outcome).count()
    }

    /// Number of actions with any of the outcomes, by kind.
    pub fn by_kind(&self, outcomes: &[ActionOutcome]) -> BTreeMap<&'static str, usize> {
        let mut kinds = BTreeMap::new();
        for (kind, _) in self.actions.values().filter(|action| outcomes.contains(&action.1)) {
            *kinds.entry(*kind).or_insert(0) += 1;
        }
        kinds
    }

    /// Number of actions.
    pub fn n_actions(&self) -> usize {
        self.actions.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn actions_are_counted_once_and_by_kind() {
        let digest = |text: &str| Digest::of(text.as_bytes());
        let mut tally = Tally::default();
        tally.add(digest("a"), "tensor", ActionOutcome::Ran);
        tally.add(digest("a"), "tensor", ActionOutcome::Hit);
        tally.add(digest("b"), "gguf", ActionOutcome::Hit);
        assert_eq!(
            (tally.n_actions(), tally.count(ActionOutcome::Ran), tally.count(ActionOutcome::Hit)),
            (2, 1, 1)
        );
        assert_eq!(tally.by_kind(RAN), BTreeMap::from([("tensor", 1)]));
        assert_eq!(tally.outcome(digest("a")), Some(ActionOutcome::Ran));
        tally.add(digest("a"), "tensor", ActionOutcome::Failed);
        tally.add(digest("a"), "tensor", ActionOutcome::Hit);
        assert_eq!(tally.outcome(digest("a")), Some(ActionOutcome::Hit), "a later try made it");
    }
}
