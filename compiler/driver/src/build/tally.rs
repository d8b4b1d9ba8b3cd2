//! Counts of a build: which actions were hits and which ran, by kind.

use std::collections::BTreeMap;

use mc_digest::digest::Digest;
use mc_execute::event::{Event, Origin};

/// The fate of one action.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fate {
    /// Found in the cache.
    Hit,
    /// Brought here from the remote cache.
    Fetched,
    /// Done now, by a worker.
    RanRemotely,
    /// Done now, on this machine.
    Ran,
    /// Done now, in vain.
    Failed,
}

impl Fate {
    fn of(origin: Origin) -> Self {
        match origin {
            Origin::Hit => Self::Hit,
            Origin::Fetched => Self::Fetched,
            Origin::RanRemotely => Self::RanRemotely,
            Origin::Ran => Self::Ran,
        }
    }
}

/// Done now, wherever.
pub const RAN: &[Fate] = &[Fate::RanRemotely, Fate::Ran];

/// Every action that a command went through, each once however many passes met it.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    // By the action's structure: one that ran in one pass and was a hit in the next has run.
    actions: BTreeMap<Digest, (&'static str, Fate)>,
}

impl Tally {
    /// Counts an event of a build.
    pub fn event(&mut self, event: &Event) {
        let (node, fate) = match event {
            Event::Finished { node, origin, .. } => (node, Fate::of(*origin)),
            Event::Failed { node, .. } => (node, Fate::Failed),
            Event::Planned { .. } | Event::Started { .. } => return,
        };
        self.add(node.structure(), node.action.kind().name, fate);
    }

    /// Notes the fate of an action.
    pub fn add(&mut self, structure: Digest, kind: &'static str, fate: Fate) {
        let action = self.actions.entry(structure).or_insert((kind, fate));
        // What failed for want of a blob that a remote cache lost is done in the next try.
        action.1 = if action.1 == Fate::Failed { fate } else { action.1.max(fate) };
    }

    /// The fate of an action, if it was met.
    pub fn fate(&self, structure: Digest) -> Option<Fate> {
        self.actions.get(&structure).map(|(_, fate)| *fate)
    }

    /// Number of actions of one fate.
    pub fn count(&self, fate: Fate) -> usize {
        self.actions.values().filter(|action| action.1 == fate).count()
    }

    /// Number of actions of some fates, by kind.
    pub fn by_kind(&self, fates: &[Fate]) -> BTreeMap<&'static str, usize> {
        let mut kinds = BTreeMap::new();
        for (kind, _) in self.actions.values().filter(|action| fates.contains(&action.1)) {
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
        tally.add(digest("a"), "tensor", Fate::Ran);
        tally.add(digest("a"), "tensor", Fate::Hit);
        tally.add(digest("b"), "gguf", Fate::Hit);
        assert_eq!((tally.n_actions(), tally.count(Fate::Ran), tally.count(Fate::Hit)), (2, 1, 1));
        assert_eq!(tally.by_kind(RAN), BTreeMap::from([("tensor", 1)]));
        assert_eq!(tally.fate(digest("a")), Some(Fate::Ran));
        tally.add(digest("a"), "tensor", Fate::Failed);
        tally.add(digest("a"), "tensor", Fate::Hit);
        assert_eq!(tally.fate(digest("a")), Some(Fate::Hit), "a later try made it");
    }
}
