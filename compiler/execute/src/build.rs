//! Builds an action graph: runs every action once, inputs first, with a limit on parallel actions.
//!
//! An action is ready when all its inputs have digests. It is looked up in the cache, and run only on a miss. If an
//! action produces the same bytes as before, its readers are hits, because their keys contain its bytes and not its
//! key.
//!
//! This module does not choose the requested artifacts and writes only to the store.

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

/// A build that could not start, or whose results may not survive a power loss.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The threads of the build cannot be started.
    #[error("Cannot start {n_jobs} worker threads: {reason}; try a smaller `--jobs`")]
    Threads {
        /// Requested number of parallel actions.
        n_jobs: usize,
        /// The operating system's error.
        reason: String,
    },
    /// The results cannot be made durable.
    #[error(transparent)]
    Store(StoreError),
}

/// Builds every action of the graph. All results are durable when it returns.
///
/// # Errors
/// If the worker threads cannot be started, or the disk fails at the end. Failures of actions are in [`Built`].
///
/// # Panics
/// If an action panics, after all parallel actions have ended.
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
            // A panic is a bug and must reach the caller. But the other threads wait for this one, so they are stopped
            // first. The unwind drops the partial work of the action.
            match catch_unwind(AssertUnwindSafe(|| step.perform(&pool, &in_flight, &permits))) {
                Ok(result) => schedule.finish(id, result),
                Err(panic) => schedule.abort(panic),
            }
        }
    };
    // A thread that waits for a lookup needs no core, and its wait overlaps those of other threads.
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
        // A failing disk is one problem: an action that encountered it has reported it already.
        Err(error) if built.failures.is_empty() => Err(BuildError::Store(error)),
        _ => Ok(built),
    }
}
