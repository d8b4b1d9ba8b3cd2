//! Actions that fail, fail a gate, panic, are interrupted, or produce undeclared outputs.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use mc_execute::options::{OnFailure, OnMiss, Options};
use mc_ir::action::{ActionError, ActionNode};

use crate::bench::{Bench, Store, over_stores};
use crate::glue::{Effect, file, glue, node, of, step};

const ONE_JOB: Options = Options { n_jobs: 1, on_failure: OnFailure::Stop, on_miss: OnMiss::Run };
const KEEP_GOING: Options = Options { n_jobs: 2, on_failure: OnFailure::KeepGoing, on_miss: OnMiss::Run };

/// `bad` fails, `reader` reads it, `good` does not; `last` reads `good`.
fn nodes<S: Store + ?Sized>(bench: &Bench<S>, effect: Effect) -> [Arc<ActionNode>; 4] {
    let bad = node("bad", glue("bad", effect), vec![bench.source("x", "X")]);
    let reader = step("reader", vec![of(&bad)]);
    let good = step("good", vec![bench.source("y", "Y")]);
    let last = step("last", vec![of(&good)]);
    [bad, reader, good, last]
}

#[test]
fn a_failure_stops_the_build_and_is_the_only_one_reported() {
    over_stores(|bench| {
        let [bad, reader, good, last] = nodes(bench, Effect::Fail);
        let outcome = bench.build_with(&[&reader, &last], ONE_JOB);
        assert_eq!(outcome.log, ["fail bad: `bad` cannot be glued"]);
        assert_eq!(outcome.built.failures.len(), 1);
        assert_eq!(outcome.built.failures[0].node, bad);
        assert!(matches!(outcome.built.failures[0].error, ActionError::Failed { .. }));
        assert!([&bad, &reader, &good, &last].iter().all(|node| outcome.get(node).is_none()));
        assert!(!outcome.built.is_interrupted);
    });
}

#[test]
fn failures_with_one_cause_are_reported_once() {
    over_stores(|bench| {
        let failing = |name, cause| node(name, glue(name, Effect::FailFor(cause)), Vec::new());
        let nodes = [failing("a", "water"), failing("b", "heat"), failing("c", "water")];
        let outcome = bench.build_with(&nodes.each_ref(), KEEP_GOING);
        assert_eq!(outcome.log.len(), 3, "each is an event");
        let reported: Vec<_> =
            outcome.built.failures.iter().map(|failure| Arc::clone(&failure.node)).collect();
        assert_eq!(reported, nodes[..2]);
    });
}

#[test]
fn keep_going_runs_all_actions_that_do_not_depend_on_a_failed_one() {
    over_stores(|bench| {
        let [bad, reader, good, last] = nodes(bench, Effect::Fail);
        let also_bad = node("also-bad", glue("also", Effect::Fail), vec![of(&good)]);
        let outcome = bench.build_with(&[&reader, &last, &also_bad], KEEP_GOING);
        assert_eq!(
            outcome.log,
            [
                "fail also-bad: `also` cannot be glued",
                "fail bad: `bad` cannot be glued",
                "run good",
                "run last"
            ]
        );
        let failed: Vec<_> = outcome.built.failures.iter().map(|failure| Arc::clone(&failure.node)).collect();
        assert_eq!(failed, [bad, also_bad], "in the order of the graph");
        assert!(outcome.get(&reader).is_none());
        assert_eq!(bench.text(&outcome, &last), "Ygoodlast");
    });
}

#[test]
fn a_failed_action_is_retried_and_earlier_results_are_kept() {
    over_stores(|bench| {
        let [_, reader, _, last] = nodes(bench, Effect::Fail);
        bench.build_with(&[&reader, &last], KEEP_GOING);
        let outcome = bench.build_with(&[&reader, &last], KEEP_GOING);
        assert_eq!(outcome.log, ["fail bad: `bad` cannot be glued", "hit good", "hit last"]);
        // Once fixed, the action and its readers run.
        let [_, reader, _, last] = nodes(bench, Effect::Glue);
        let outcome = bench.build(&[&reader, &last]);
        assert_eq!(outcome.log, ["hit good", "hit last", "run bad", "run reader"]);
    });
}

#[test]
fn a_missed_gate_is_a_failure_of_its_own_kind() {
    let bench = Bench::memory();
    let [_, reader, ..] = nodes(&bench, Effect::MissGate);
    let outcome = bench.build(&[&reader]);
    assert!(
        matches!(&outcome.built.failures[0].error, ActionError::GateMissed(why) if why == "`bad` is too large")
    );
}

#[test]
fn a_missing_or_too_short_source_fails_its_action() {
    over_stores(|bench| {
        bench.source("x", "0123");
        let missing = step("missing", vec![file(bench.path("gone"), None)]);
        let short = step("short", vec![file(bench.path("x"), Some((2, 9)))]);
        let backwards = step("backwards", vec![file(bench.path("x"), Some((3, 1)))]);
        let outcome = bench.build_with(&[&missing, &short, &backwards], KEEP_GOING);
        assert_eq!(outcome.built.failures.len(), 3);
        for (line, words) in outcome.log.iter().zip(["ends before it begins", "gone", "not inside"]) {
            assert!(line.contains(words), "{line}");
        }
    });
}

#[test]
fn undeclared_outputs_fail_the_action() {
    over_stores(|bench| {
        let [_, reader, ..] = nodes(bench, Effect::Undeclared);
        for _ in 0..2 {
            let outcome = bench.build(&[&reader]);
            assert_eq!(
                outcome.log,
                [
                    "fail bad: Action `glue` produced the outputs `other`, expected `out`; this is a bug in its rule"
                ]
            );
        }
    });
}

#[test]
fn a_source_saved_while_it_is_read_records_nothing_under_its_old_digest() {
    over_stores(|bench| {
        let source = bench.source("x", "before");
        let saved = node("n", glue("p", Effect::Save(bench.path("x"))), vec![source.clone()]);
        let outcome = bench.build(&[&saved]);
        assert!(outcome.log[0].contains("changed while it was read: expected digest"), "{}", outcome.log[0]);
        bench.source("x", "before");
        let again = bench.build(&[&node("n", glue("p", Effect::Glue), vec![source])]);
        assert_eq!(again.log, ["run n"]);
    });
}

#[test]
fn a_panic_reaches_the_caller_and_no_thread_hangs() {
    over_stores(|bench| {
        for (n_jobs, on_failure) in [(1, OnFailure::Stop), (4, OnFailure::Stop), (4, OnFailure::KeepGoing)] {
            let [_, reader, _, last] = nodes(bench, Effect::Panic);
            let options = Options { n_jobs, on_failure, on_miss: OnMiss::Run };
            let build = AssertUnwindSafe(|| drop(bench.build_with(&[&reader, &last], options)));
            let panic = catch_unwind(build).unwrap_err();
            assert_eq!(panic.downcast_ref::<String>().unwrap(), "`bad` was held impossible");
        }
        // The store is unharmed.
        let [_, reader, _, last] = nodes(bench, Effect::Glue);
        let outcome = bench.build(&[&reader, &last]);
        assert_eq!(bench.text(&outcome, &reader), "Xbadreader");
    });
}

#[test]
fn an_interrupt_finishes_running_actions_and_starts_no_others() {
    over_stores(|bench| {
        let [bad, reader, good, last] = nodes(bench, Effect::Interrupt(Arc::clone(&bench.cancelled)));
        let outcome = bench.build_with(&[&reader, &last], ONE_JOB);
        assert!(outcome.built.is_interrupted);
        assert!(outcome.built.failures.is_empty());
        assert_eq!(outcome.log, ["run bad"]);
        assert!(outcome.get(&bad).is_some() && outcome.get(&good).is_none());
        // Finished results are kept.
        bench.cancelled.store(false, Ordering::Relaxed);
        let outcome = bench.build_with(&[&reader, &last], ONE_JOB);
        assert_eq!(outcome.log, ["hit bad", "run good", "run last", "run reader"]);
        assert!(!outcome.built.is_interrupted);
    });
}

#[test]
fn an_action_that_returns_on_an_interrupt_is_not_a_failure() {
    over_stores(|bench| {
        let [bad, reader, ..] = nodes(bench, Effect::GiveUp(Arc::clone(&bench.cancelled)));
        let outcome = bench.build(&[&reader]);
        assert!(outcome.built.is_interrupted);
        assert!(outcome.built.failures.is_empty());
        assert_eq!(outcome.log, [""; 0]);
        assert!(outcome.get(&bad).is_none());
    });
}

#[test]
fn a_build_that_is_interrupted_before_it_begins_does_nothing() {
    let bench = Bench::memory();
    bench.cancelled.store(true, Ordering::Relaxed);
    let outcome = bench.build(&[&step("a", vec![bench.source("x", "X")])]);
    assert!(outcome.built.is_interrupted);
    assert_eq!(outcome.log, [""; 0]);
}
