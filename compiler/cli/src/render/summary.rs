//! Counts of a build: which steps were hits and which ran, by kind.

use std::collections::BTreeMap;

use mc_digest::digest::Digest;
use serde_json::{Value, json};

/// What became of one step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fate {
    /// Found in the cache.
    Hit,
    /// Brought here from the team's cache.
    Fetched,
    /// Done now, by a worker of the team.
    RanRemotely,
    /// Done now, on this machine.
    Ran,
    /// Done now, in vain.
    Failed,
}

/// Done now, wherever.
const RAN: &[Fate] = &[Fate::RanRemotely, Fate::Ran];

/// Every step that a command went through, each once however many passes met it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    // By the step's structure: a step that ran in one pass and was a hit in the next has run.
    steps: BTreeMap<Digest, (&'static str, Fate)>,
}

impl Tally {
    /// Notes what became of a step.
    pub(crate) fn add(&mut self, structure: Digest, kind: &'static str, fate: Fate) {
        let step = self.steps.entry(structure).or_insert((kind, fate));
        // What failed for want of a blob that a team's cache lost is done in the next try.
        step.1 = if step.1 == Fate::Failed { fate } else { step.1.max(fate) };
    }

    /// What became of the step, if it was met.
    pub(crate) fn fate(&self, structure: Digest) -> Option<Fate> {
        self.steps.get(&structure).map(|(_, fate)| *fate)
    }

    fn count(&self, fate: Fate) -> usize {
        self.steps.values().filter(|step| step.1 == fate).count()
    }

    fn by_kind(&self, fates: &[Fate]) -> BTreeMap<&'static str, usize> {
        let mut kinds = BTreeMap::new();
        for (kind, _) in self.steps.values().filter(|step| fates.contains(&step.1)) {
            *kinds.entry(*kind).or_insert(0) += 1;
        }
        kinds
    }

    /// One line such as `45 actions: 44 hits, 1 ran (1 tensor)`.
    pub(crate) fn line(&self) -> String {
        let n_steps = self.steps.len();
        let n_fetched = self.count(Fate::Fetched);
        let n_hits = self.count(Fate::Hit) + n_fetched;
        let fetched = if n_fetched == 0 { String::new() } else { format!(" ({n_fetched} remote)") };
        let n_remote = self.count(Fate::RanRemotely);
        let remote = if n_remote == 0 { String::new() } else { format!(", {n_remote} of them on workers") };
        let mut line = format!(
            "{n_steps} action{}: {n_hits} hit{}{fetched}, {} ran{}{remote}",
            plural(n_steps),
            plural(n_hits),
            self.count(Fate::Ran) + n_remote,
            kinds(&self.by_kind(RAN))
        );
        let n_failed = self.count(Fate::Failed);
        if n_failed > 0 {
            line.push_str(&format!(", {n_failed} failed{}", kinds(&self.by_kind(&[Fate::Failed]))));
        }
        line
    }

    /// The same for programs.
    pub(crate) fn json(&self) -> Value {
        json!({
            "total": self.steps.len(),
            "hits": self.count(Fate::Hit) + self.count(Fate::Fetched),
            "remote_hits": self.count(Fate::Fetched),
            "ran": self.count(Fate::Ran) + self.count(Fate::RanRemotely),
            "ran_remotely": self.count(Fate::RanRemotely),
            "failed": self.count(Fate::Failed),
            "hits_by_kind": self.by_kind(&[Fate::Hit]),
            "ran_by_kind": self.by_kind(RAN),
            "failed_by_kind": self.by_kind(&[Fate::Failed]),
        })
    }
}

/// `s` for every number but one.
pub(crate) fn plural(n: usize) -> &'static str {
    if n == 1 { "" } else { "s" }
}

fn kinds(counts: &BTreeMap<&'static str, usize>) -> String {
    if counts.is_empty() {
        return String::new();
    }
    let parts: Vec<String> = counts.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
    format!(" ({})", parts.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(text: &str) -> Digest {
        Digest::of(text.as_bytes())
    }

    #[test]
    fn steps_are_counted_once_and_by_kind() {
        let mut tally = Tally::default();
        tally.add(digest("a"), "tensor", Fate::Ran);
        tally.add(digest("a"), "tensor", Fate::Hit);
        tally.add(digest("b"), "gguf", Fate::Hit);
        tally.add(digest("c"), "tensor", Fate::Hit);
        assert_eq!(tally.line(), "3 actions: 2 hits, 1 ran (1 tensor)");
        assert_eq!(tally.json()["ran_by_kind"]["tensor"], 1);
        assert_eq!(tally.json()["hits_by_kind"]["gguf"], 1);
        assert_eq!(tally.fate(digest("a")), Some(Fate::Ran));
        tally.add(digest("a"), "tensor", Fate::Failed);
        tally.add(digest("a"), "tensor", Fate::Ran);
        tally.add(digest("d"), "bundle", Fate::Failed);
        assert_eq!(tally.line(), "4 actions: 2 hits, 1 ran (1 tensor), 1 failed (1 bundle)");
        tally.add(digest("e"), "tensor", Fate::RanRemotely);
        assert_eq!(
            tally.line(),
            "5 actions: 2 hits, 2 ran (2 tensor), 1 of them on workers, 1 failed (1 bundle)"
        );
        assert_eq!((&tally.json()["ran"], &tally.json()["ran_remotely"]), (&json!(2), &json!(1)));
    }

    #[test]
    fn nothing_to_do_is_said_so() {
        assert_eq!(Tally::default().line(), "0 actions: 0 hits, 0 ran");
    }
}
