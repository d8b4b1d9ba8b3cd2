//! Several jobs, and several builds, at the same time.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier};

use mc_execute::build::build;
use mc_execute::options::{OnFailure, OnMiss, Options};
use mc_execute::services::Services;
use mc_execute::suspect_results::SuspectResults;
use mc_ir::action::ActionNode;
use mc_ir::graph::ActionGraph;
use mc_ir::output::Output;
use mc_store::attester::Trust;
use mc_store::local::store::LocalStore;

use crate::bench::{Bench, over_stores};
use crate::glue::{Effect, Working, file, glue, node, of, step};

const NAMES: [&str; 12] = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"];

#[test]
fn no_more_actions_run_at_a_time_than_there_are_jobs() {
    for n_jobs in [1, 3] {
        let bench = Bench::memory();
        let working = Arc::new(Working::default());
        let work = |name| node(name, glue(name, Effect::Work(Arc::clone(&working))), Vec::new());
        let nodes = NAMES.map(work);
        let last = step("last", nodes.iter().map(of).collect());
        let outcome =
            bench.build_with(&[&last], Options { n_jobs, on_failure: OnFailure::Stop, on_miss: OnMiss::Run });
        assert_eq!(outcome.built.n_ran, NAMES.len() + 1);
        assert!(working.most.load(Ordering::Relaxed) <= n_jobs);
    }
}

#[test]
fn actions_that_turn_out_to_be_equal_run_once() {
    over_stores(|bench| {
        let working = Arc::new(Working::default());
        let copies = NAMES.map(|name| {
            let copy = bench.source(name, "the same bytes");
            node(name, glue("p", Effect::Work(Arc::clone(&working))), vec![copy])
        });
        let nodes: Vec<&Arc<ActionNode>> = copies.iter().collect();
        let outcome = bench
            .build_with(&nodes, Options { n_jobs: 4, on_failure: OnFailure::Stop, on_miss: OnMiss::Run });
        assert_eq!(working.runs.load(Ordering::Relaxed), 1);
        assert_eq!((outcome.built.n_ran, outcome.built.n_hits), (1, NAMES.len() - 1));
        assert!(copies.iter().all(|copy| outcome.output(copy) == outcome.output(&copies[0])));
    });
}

/// Builds twelve actions and a reader of them, in a newly opened store. Returns their outputs and the number of runs.
fn build_in(bench: &Bench<LocalStore>, begin: impl FnOnce()) -> (Vec<Output>, usize) {
    let store = LocalStore::open(&bench.path("store")).unwrap();
    let firsts =
        NAMES.map(|name| node(name, glue(name, Effect::Composite), vec![file(bench.path("x"), None)]));
    let last = step("last", firsts.iter().map(of).collect());
    let graph = ActionGraph::new(&[last.artifact("out")]);
    let memo = store.input_memo();
    let services = Services {
        store: &store,
        actions: &store,
        trust: &Trust::Anyone,
        suspects: &SuspectResults::default(),
        memo,
        remote: None,
        cancelled: &AtomicBool::new(false),
    };
    let options = Options { n_jobs: 3, on_failure: OnFailure::Stop, on_miss: OnMiss::Run };
    begin();
    let built = build(&graph, &services, options, &|_| {}).unwrap();
    assert!(built.failures.is_empty(), "{:?}", built.failures);
    let nodes = firsts.iter().chain([&last]);
    let output = |node: &Arc<ActionNode>| built.output(&graph, &node.artifact("out")).unwrap().clone();
    (nodes.map(output).collect(), built.n_ran)
}

#[test]
fn two_builds_at_once_over_one_folder_agree() {
    let bench = Bench::local();
    bench.source("x", "X");
    let both_ready = Barrier::new(2);
    let run = || {
        build_in(&bench, || {
            both_ready.wait();
        })
        .0
    };
    let (left, right) = std::thread::scope(|scope| {
        let left = scope.spawn(run);
        let right = scope.spawn(run);
        (left.join().unwrap(), right.join().unwrap())
    });
    assert_eq!(left, right);
    // The store that they leave behind is complete.
    assert_eq!(build_in(&bench, || {}), (left, 0));
}
