//! Counts of a build in one line, and as JSON.

use std::collections::BTreeMap;

use mc_driver::build::tally::{ActionOutcome, RAN, Tally};
use serde_json::{Value, json};

use crate::render::plural::plural;

/// One line such as `45 actions: 44 hits, 1 ran (1 tensor)`.
pub(crate) fn line(tally: &Tally) -> String {
    let n_actions = tally.n_actions();
    let n_fetched = tally.count(ActionOutcome::Fetched);
    let n_hits = tally.count(ActionOutcome::Hit) + n_fetched;
    let fetched = if n_fetched == 0 { String::new() } else { format!(" ({n_fetched} remote)") };
    let n_remote = tally.count(ActionOutcome::RanRemotely);
    let remote = if n_remote == 0 { String::new() } else { format!(", {n_remote} of them on workers") };
    let mut line = format!(
        "{n_actions} action{}: {n_hits} hit{}{fetched}, {} ran{}{remote}",
        plural(n_actions),
        plural(n_hits),
        tally.count(ActionOutcome::Ran) + n_remote,
        kinds(&tally.by_kind(RAN))
    );
    let n_failed = tally.count(ActionOutcome::Failed);
    if n_failed > 0 {
        line.push_str(&format!(", {n_failed} failed{}", kinds(&tally.by_kind(&[ActionOutcome::Failed]))));
    }
    if tally.n_failed_gates > 0 {
        line.push_str(&format!("; {} gate{} failed", tally.n_failed_gates, plural(tally.n_failed_gates)));
    }
    line
}

/// The counts for programs.
pub(crate) fn json(tally: &Tally) -> Value {
    json!({
        "total": tally.n_actions(),
        "hits": tally.count(ActionOutcome::Hit) + tally.count(ActionOutcome::Fetched),
        "remote_hits": tally.count(ActionOutcome::Fetched),
        "ran": tally.count(ActionOutcome::Ran) + tally.count(ActionOutcome::RanRemotely),
        "ran_remotely": tally.count(ActionOutcome::RanRemotely),
        "gates_failed": tally.n_failed_gates,
        "failed": tally.count(ActionOutcome::Failed),
        "hits_by_kind": tally.by_kind(&[ActionOutcome::Hit]),
        "ran_by_kind": tally.by_kind(RAN),
        "failed_by_kind": tally.by_kind(&[ActionOutcome::Failed]),
    })
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
    use mc_digest::digest::Digest;

    use super::*;

    fn digest(text: &str) -> Digest {
        Digest::of(text.as_bytes())
    }

    #[test]
    fn actions_are_counted_once_and_by_kind() {
        let mut tally = Tally::default();
        tally.add(digest("a"), "tensor", ActionOutcome::Ran);
        tally.add(digest("a"), "tensor", ActionOutcome::Hit);
        tally.add(digest("b"), "gguf", ActionOutcome::Hit);
        tally.add(digest("c"), "tensor", ActionOutcome::Hit);
        assert_eq!(line(&tally), "3 actions: 2 hits, 1 ran (1 tensor)");
        assert_eq!(json(&tally)["ran_by_kind"]["tensor"], 1);
        assert_eq!(json(&tally)["hits_by_kind"]["gguf"], 1);
        assert_eq!(tally.outcome(digest("a")), Some(ActionOutcome::Ran));
        tally.add(digest("a"), "tensor", ActionOutcome::Failed);
        tally.add(digest("a"), "tensor", ActionOutcome::Ran);
        tally.add(digest("d"), "bundle", ActionOutcome::Failed);
        assert_eq!(line(&tally), "4 actions: 2 hits, 1 ran (1 tensor), 1 failed (1 bundle)");
        tally.add(digest("e"), "tensor", ActionOutcome::RanRemotely);
        assert_eq!(
            line(&tally),
            "5 actions: 2 hits, 2 ran (2 tensor), 1 of them on workers, 1 failed (1 bundle)"
        );
        assert_eq!((&json(&tally)["ran"], &json(&tally)["ran_remotely"]), (&json!(2), &json!(1)));
    }

    #[test]
    fn nothing_to_do_is_said_so() {
        assert_eq!(line(&Tally::default()), "0 actions: 0 hits, 0 ran");
    }
}
