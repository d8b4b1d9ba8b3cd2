//! Tests that a build with a required remote cache ends when the cache fails.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use mc_execute::options::{OnFailure, OnMiss, Options};
use mc_execute::remote::{Found, RemoteResults};
use mc_ir::action::{ActionError, ActionNode, Content};
use mc_ir::output::{Output, Outputs};
use mc_ir::tags::Tags;
use mc_ir::work::WorkerStage;

use crate::bench::Bench;
use crate::glue::{Effect, glue, node, of, step};

/// A remote cache that has no results until it fails.
#[derive(Default)]
struct Others {
    are_gone: Arc<AtomicBool>,
    /// The action whose lookup makes it fail.
    last: &'static str,
}

impl RemoteResults for Others {
    fn n_askers(&self) -> usize {
        4
    }

    fn is_over(&self) -> bool {
        self.are_gone.load(Ordering::SeqCst)
    }

    fn find(
        &self,
        node: &Arc<ActionNode>,
        _: &[Output],
        _: &dyn Fn(usize) -> Option<Content>,
    ) -> Result<Option<Found>, ActionError> {
        if node.label.name != self.last {
            return Ok(None);
        }
        // The other action runs by then.
        thread::sleep(Duration::from_millis(50));
        self.are_gone.store(true, Ordering::SeqCst);
        Err(ActionError::failed("they are gone"))
    }

    fn execute(
        &self,
        _: &Arc<ActionNode>,
        _: Tags,
        _: &[Output],
        _: &dyn Fn(usize) -> Option<Content>,
        _: &dyn Fn(WorkerStage),
    ) -> Result<Option<Found>, ActionError> {
        Ok(None)
    }

    fn bring(&self, _: &[Output]) -> Result<(), ActionError> {
        Ok(())
    }

    fn made(&self, _: &Arc<ActionNode>, _: &[Output], _: &Outputs) {}

    fn had(&self, _: &Arc<ActionNode>, _: &[Output], _: &Outputs) {}
}

#[test]
fn a_running_action_is_cancelled_and_the_build_is_not_interrupted() {
    for on_failure in [OnFailure::Stop, OnFailure::KeepGoing] {
        let bench = Bench::memory();
        let waiting = node("waiting", glue("w", Effect::Wait), vec![bench.source("x", "X")]);
        let reader = step("reader", vec![of(&waiting)]);
        let failing = step("failing", vec![bench.source("y", "Y")]);
        let other = step("other", vec![of(&failing)]);
        let others = Others { last: "failing", ..Others::default() };
        let options = Options { n_jobs: 2, on_failure, on_miss: OnMiss::Run };
        let outcome = bench.build_for(&[&reader, &other], options, Some(&others));
        assert!(!outcome.built.is_interrupted);
        assert_eq!(outcome.log, ["fail failing: they are gone"]);
        assert_eq!(outcome.built.failures.len(), 1);
        assert!([&waiting, &reader, &failing, &other].iter().all(|node| outcome.get(node).is_none()));
    }
}

#[test]
fn nothing_starts_if_the_cache_failed_before() {
    let bench = Bench::memory();
    for on_miss in [OnMiss::Run, OnMiss::Fail] {
        let others = Others::default();
        others.are_gone.store(true, Ordering::SeqCst);
        let options = Options { n_jobs: 2, on_failure: OnFailure::KeepGoing, on_miss };
        let outcome = bench.build_for(&[&step("a", vec![bench.source("x", "X")])], options, Some(&others));
        assert_eq!(outcome.log, [""; 0]);
        assert!(!outcome.built.is_interrupted && outcome.built.failures.is_empty());
    }
}
