//! Hits and misses of the action cache.

use mc_execute::options::{OnFailure, OnMiss, Options};

use crate::bench::{Bench, over_stores};
use crate::glue::{Effect, Glue, file, glue, node, of, step};

#[test]
fn every_action_runs_once_after_its_inputs() {
    over_stores(|bench| {
        let a = step("a", vec![bench.source("x", "X")]);
        let b = step("b", vec![of(&a)]);
        let c = step("c", vec![of(&a)]);
        let d = step("d", vec![of(&b), of(&c), of(&a)]);
        let outcome = bench.build(&[&d, &b]);
        assert_eq!(outcome.log, ["run a", "run b", "run c", "run d"]);
        assert_eq!((outcome.order[0].as_str(), outcome.order[3].as_str()), ("run a", "run d"));
        assert_eq!(bench.text(&outcome, &d), "XabXacXad");
        assert_eq!((outcome.built.n_hits, outcome.built.n_ran), (0, 4));
    });
}

#[test]
fn a_second_build_hits_everything() {
    over_stores(|bench| {
        let a = step("a", vec![bench.source("x", "X")]);
        let b = node("b", glue("b", Effect::Composite), vec![of(&a)]);
        let c = step("c", vec![of(&b)]);
        let first = bench.build(&[&c]);
        let second = bench.build(&[&c]);
        assert_eq!(second.log, ["hit a", "hit b", "hit c"]);
        assert_eq!((second.built.n_hits, second.built.n_ran), (3, 0));
        for node in [&a, &b, &c] {
            assert_eq!(first.output(node), second.output(node));
        }
        assert_eq!(bench.text(&second, &c), "Xabc");
    });
}

#[test]
fn large_inputs_can_be_read_again_after_their_release() {
    over_stores(|bench| {
        let text: String = (0..60_000).map(|number| format!("{number} ")).collect();
        let a = step("a", vec![bench.source("x", &text)]);
        let b = step("b", vec![of(&a)]);
        assert_eq!(bench.text(&bench.build(&[&b]), &b), text + "ab");
    });
}

#[test]
fn an_empty_graph_runs_nothing() {
    let outcome = Bench::memory().build(&[]);
    assert_eq!(outcome.log, [""; 0]);
    assert!(!outcome.built.is_interrupted);
}

#[test]
fn readers_of_an_action_with_unchanged_output_are_hits() {
    over_stores(|bench| {
        let count = || {
            let a = step("a", vec![file(bench.path("x"), None)]);
            let b = node("b", glue("b", Effect::Count), vec![of(&a)]);
            step("c", vec![of(&b)])
        };
        bench.source("x", "one");
        assert_eq!(bench.build(&[&count()]).log, ["run a", "run b", "run c"]);
        bench.source("x", "two");
        assert_eq!(bench.build(&[&count()]).log, ["hit c", "run a", "run b"]);
    });
}

#[test]
fn whatever_can_change_a_byte_is_a_miss() {
    over_stores(|bench| {
        let x = || file(bench.path("x"), None);
        let y = || file(bench.path("y"), None);
        bench.source("x", "0123456789");
        bench.source("y", "9876543210");
        let usual = || glue("p", Effect::Glue);
        assert_eq!(bench.build(&[&node("n", usual(), vec![x(), y()])]).log, ["run n"]);
        assert_eq!(bench.build(&[&node("n", usual(), vec![x(), y()])]).log, ["hit n"]);
        for other in [
            node("parameter", glue("q", Effect::Glue), vec![x(), y()]),
            node("version", Glue { version: 2, ..usual() }, vec![x(), y()]),
            node("output", Glue { output: "other", ..usual() }, vec![x(), y()]),
            node("order", usual(), vec![y(), x()]),
            node("number", usual(), vec![x()]),
            node("range", usual(), vec![file(bench.path("x"), Some((2, 5))), y()]),
        ] {
            let name = other.label.name.clone();
            assert_eq!(bench.build(&[&other]).log, [format!("run {name}")]);
        }
        bench.source("x", "0123456780");
        assert_eq!(bench.build(&[&node("n", usual(), vec![x(), y()])]).log, ["run n"]);
    });
}

#[test]
fn whatever_cannot_change_a_byte_is_a_hit() {
    over_stores(|bench| {
        let made = step("n", vec![bench.source("x", "0123456789")]);
        assert_eq!(bench.build(&[&made]).log, ["run n"]);
        std::fs::rename(bench.path("x"), bench.path("renamed")).unwrap();
        let renamed = || file(bench.path("renamed"), None);
        assert_eq!(bench.build(&[&step("n", vec![renamed()])]).log, ["hit n"]);
        // Another target, the whole file as a range, and a range of another file with the same bytes.
        assert_eq!(
            bench.build(&[&node("other", glue("n", Effect::Glue), vec![renamed()])]).log,
            ["hit other"]
        );
        let range = file(bench.path("renamed"), Some((0, 10)));
        assert_eq!(bench.build(&[&step("n", vec![range])]).log, ["hit n"]);
        bench.source("longer", "__0123456789__");
        let range = file(bench.path("longer"), Some((2, 12)));
        assert_eq!(bench.build(&[&step("n", vec![range])]).log, ["hit n"]);
        // An action's output and a file with the same bytes are the same input.
        let copy = node("copy", glue("", Effect::Glue), vec![renamed()]);
        assert_eq!(bench.build(&[&step("n", vec![of(&copy)])]).log, ["hit n", "run copy"]);
    });
}

#[test]
fn a_composite_of_the_same_parts_is_stored_once_and_read_as_one_file() {
    over_stores(|bench| {
        let parts = node("parts", glue("end", Effect::Composite), vec![bench.source("x", "X")]);
        let reader = step("reader", vec![of(&parts)]);
        let outcome = bench.build(&[&reader]);
        assert_eq!(outcome.output(&parts).parts().len(), 2);
        assert_eq!(outcome.output(&parts).n_bytes(), 4);
        assert_eq!(bench.text(&outcome, &reader), "Xendreader");
        let other = node("other", glue("fin", Effect::Composite), vec![file(bench.path("x"), None)]);
        let outcome_of_other = bench.build(&[&other]);
        assert_eq!(outcome_of_other.output(&other).parts()[0], outcome.output(&parts).parts()[0]);
    });
}

#[test]
fn the_number_of_jobs_changes_no_byte() {
    let outputs = [1, 2, 8, 64].map(|n_jobs| {
        let bench = Bench::memory();
        let source = bench.source("x", "X");
        let names = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"];
        let firsts = names.map(|name| step(name, vec![source.clone()]));
        let seconds = names.map(|name| step(name, firsts.iter().map(of).collect()));
        let last = step("last", seconds.iter().map(of).collect());
        let outcome =
            bench.build_with(&[&last], Options { n_jobs, on_failure: OnFailure::Stop, on_miss: OnMiss::Run });
        assert_eq!(outcome.built.n_ran, 21);
        let all = firsts.iter().chain(&seconds).chain([&last]);
        all.map(|node| outcome.output(node).clone()).collect::<Vec<_>>()
    });
    assert!(outputs.iter().all(|of_jobs| *of_jobs == outputs[0]));
}
