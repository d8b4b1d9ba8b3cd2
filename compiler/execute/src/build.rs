//! Builds an action graph: every action once, inputs first, as many at a time as there are jobs.
//!
//! An action is ready when all its inputs have digests. It is looked up, and run only on a miss. A step that
//! gives the same bytes as before leaves all its readers hits, because their keys hold its bytes and not its key.
//!
//! This module never decides what is asked for and never writes outside the store.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};

use mc_ir::graph::ActionGraph;
use mc_store::error::StoreError;

use crate::built::Built;
use crate::event::{Event, EventSink};
use crate::in_flight::InFlight;
use crate::options::Options;
use crate::permits::Permits;
use crate::ready_action::ReadyAction;
use crate::remote::RemoteResults;
use crate::schedule::Schedule;
use crate::services::Services;

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
    events(Event::planned(graph));
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
            let step =
                ReadyAction { node: graph.node(id), tags, artifacts: &artifacts, services, on_miss, events };
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
