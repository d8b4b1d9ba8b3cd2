//! Builds an action graph: every action once, inputs first, as many at a time as there are jobs.
//!
//! An action is ready when all its inputs have digests. It is looked up, and run only on a miss. A step that
//! gives the same bytes as before leaves all its readers hits, because their keys hold its bytes and not its key.
//!
//! This module never decides what is asked for and never writes outside the store.

use std::collections::BTreeSet;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use mc_digest::digest::BlobDigest;
use mc_ir::action::{ActionError, ActionNode, Artifact};
use mc_ir::graph::ActionGraph;
use mc_ir::output::Output;
use mc_store::error::StoreError;

use crate::event::{Event, EventSink};
use crate::fetch::output_content;
use crate::in_flight::InFlight;
use crate::permits::Permits;
use crate::remote::RemoteResults;
use crate::schedule::Schedule;
use crate::services::Services;
use crate::step::{Done, Step};

/// What to do after a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnFailure {
    /// Finish what runs, begin nothing.
    Stop,
    /// Do everything that does not need what failed.
    KeepGoing,
}

/// How to build.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// How many actions run at a time, and how many threads they share.
    pub n_jobs: usize,
    /// What to do after a failure.
    pub on_failure: OnFailure,
    /// What to do with an action that no cache knows.
    pub on_miss: OnMiss,
}

/// What to do with an action that is in no cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnMiss {
    /// Run it.
    Run,
    /// Nothing: that it would have to run is its failure.
    Fail,
}

/// An action that gave no outputs, and why.
#[derive(Debug)]
pub struct Failure {
    /// Which.
    pub node: Arc<ActionNode>,
    /// Why.
    pub error: ActionError,
}

/// What a build gave.
#[derive(Debug, Default)]
pub struct Built {
    pub(crate) done: Vec<Option<Done>>,
    /// Every action that failed by itself, in the order of the graph. Those that only depend on one are not here.
    pub failures: Vec<Failure>,
    /// Whether the user stopped the build.
    pub is_interrupted: bool,
    /// Actions found in the cache.
    pub n_hits: usize,
    /// Actions run.
    pub n_ran: usize,
}

impl Built {
    /// The output that an artifact stands for; `None` if its action failed or was never reached.
    pub fn output(&self, graph: &ActionGraph, artifact: &Artifact) -> Option<&Output> {
        let id = graph.id(&artifact.node)?;
        self.done[id.0].as_ref()?.outputs.get(&artifact.output)
    }

    /// Looks at an artifact that is read outside of actions as an action does at its inputs: a blob that was wrong, and a
    /// result of others that cannot be read, are reasons to build again, and are made here then. What cannot be opened is
    /// told by whoever reads it.
    pub fn judge(&self, graph: &ActionGraph, artifact: &Artifact, services: &Services<'_>) {
        let done = graph.id(&artifact.node).and_then(|id| self.done[id.0].as_ref());
        let Some(Done { outputs, digest, is_own, .. }) = done else { return };
        let Some(output) = outputs.get(&artifact.output) else { return };
        let Some(read) = artifact.node.action.reader(&artifact.output) else { return };
        let Ok(content) = output_content(services.store, output) else { return };
        let mut is_right = true;
        for (part, expected) in content.parts.iter().zip(output.parts()) {
            if BlobDigest::of(part.as_slice()) != *expected {
                is_right = false;
                // Where it cannot be set aside, it is found again.
                drop(services.store.doubt(expected));
                services.doubts.lost();
            }
        }
        if is_right
            && !is_own
            && let Err(why) = read(&content.to_contiguous())
        {
            services.refuse(&artifact.node, &why, &BTreeSet::from([*digest]));
        }
    }
}

/// A build that did not begin, or of which nobody can say whether it will be there after a loss of power.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// Its threads cannot be started.
    #[error("Cannot start {n_jobs} worker threads: {reason}; try a smaller `--jobs`")]
    Threads {
        /// Number of actions that were to run at a time.
        n_jobs: usize,
        /// What the system said.
        reason: String,
    },
    /// What it made cannot be made durable.
    #[error(transparent)]
    Store(StoreError),
}

/// Builds every action of the graph. What was made is durable when it returns.
///
/// # Errors
/// When the worker threads cannot be started, or the disk fails at the end. Failures of actions are in [`Built`].
///
/// # Panics
/// If an action does, once everything that runs beside it has ended.
pub fn build(
    graph: &ActionGraph,
    services: &Services<'_>,
    options: Options,
    events: &EventSink<'_>,
) -> Result<Built, BuildError> {
    events(Event::Planned { n_actions: graph.len() });
    let n_jobs = options.n_jobs.max(1);
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(n_jobs)
        .build()
        .map_err(|error| BuildError::Threads { n_jobs, reason: error.to_string() })?;
    let schedule = Schedule::new(graph, options.on_failure);
    let in_flight = InFlight::default();
    let permits = Permits::new(n_jobs);
    let work = || {
        while let Some((id, artifacts)) = schedule.next(services) {
            let (tags, on_miss) = (graph.tags(id), options.on_miss);
            let step = Step { node: graph.node(id), tags, artifacts: &artifacts, services, on_miss, events };
            // A panic is a bug, which the caller is to see. But the other threads wait for this one: they are told
            // to stop before it goes on. What the step has left half done is dropped by the unwind.
            match catch_unwind(AssertUnwindSafe(|| step.perform(&pool, &in_flight, &permits))) {
                Ok(result) => schedule.finish(id, result),
                Err(panic) => schedule.abort(panic),
            }
        }
    };
    // Whoever waits for an answer about one action needs no core, and hides the wait of another.
    let n_askers = services.remote.map_or(0, RemoteResults::n_askers);
    let n_threads = n_jobs.max(n_askers).min(graph.len());
    let spawned = std::thread::scope(|scope| {
        let spawn = |_| std::thread::Builder::new().spawn_scoped(scope, work).map(|_| ());
        let spawned: io::Result<()> = (0..n_threads).try_for_each(spawn);
        if spawned.is_err() {
            schedule.stop();
        }
        spawned
    });
    let synced = services.store.sync();
    spawned.map_err(|error| BuildError::Threads { n_jobs, reason: error.to_string() })?;
    let built = schedule.into_built(services.is_interrupted());
    match synced {
        // A disk that fails is one mishap: an action that ran into it has told of it.
        Err(error) if built.failures.is_empty() => Err(BuildError::Store(error)),
        _ => Ok(built),
    }
}
