//! Builds an action graph: every action once, inputs first, as many at a time as there are jobs.
//!
//! An action is ready when all its inputs have digests. It is looked up, and run only on a miss. A step that
//! gives the same bytes as before leaves all its readers hits, because their keys hold its bytes and not its key.
//!
//! This module never decides what is asked for and never writes outside the store.

use std::collections::BTreeSet;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use mc_ir::action::{ActionError, ActionNode, Artifact, Input};
use mc_ir::graph::{ActionGraph, NodeId};
use mc_ir::output::{Output, Outputs};
use mc_ir::reapi;

use crate::context::RunContext;
use crate::event::{Event, EventSink, Origin};
use crate::lookup::{lookup, record};
use crate::services::Services;

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
    outputs: Vec<Option<Outputs>>,
    /// Every action that failed by itself, in the order of the graph. Those that only depend on one are not here.
    pub failures: Vec<Failure>,
    /// Whether the build was interrupted.
    pub is_cancelled: bool,
    /// Actions found in the cache.
    pub n_hits: usize,
    /// Actions run.
    pub n_ran: usize,
}

impl Built {
    /// The output that an artifact stands for; `None` if its action failed or was never reached.
    pub fn output(&self, graph: &ActionGraph, artifact: &Artifact) -> Option<&Output> {
        let id = graph.id(&artifact.node)?;
        self.outputs[id.0].as_ref()?.get(&artifact.output)
    }
}

/// The threads of a build cannot be started.
#[derive(Debug, thiserror::Error)]
#[error("Cannot start {n_jobs} worker threads: {reason}; try a smaller `--jobs`")]
pub struct ThreadsError {
    n_jobs: usize,
    reason: String,
}

/// Builds every action of the graph.
///
/// # Errors
/// [`ThreadsError`] when the worker threads cannot be started. Failures of actions are in [`Built`].
pub fn build(
    graph: &ActionGraph,
    services: &Services<'_>,
    options: Options,
    events: &EventSink<'_>,
) -> Result<Built, ThreadsError> {
    events(Event::Planned { n_actions: graph.len() });
    let n_jobs = options.n_jobs.max(1);
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(n_jobs)
        .build()
        .map_err(|error| ThreadsError { n_jobs, reason: error.to_string() })?;
    let schedule = Schedule::new(graph, options.on_failure);
    std::thread::scope(|scope| {
        for _ in 0..n_jobs {
            scope.spawn(|| {
                while let Some((id, inputs)) = schedule.next(services) {
                    let result = advance(graph.node(id), &inputs, services, &pool, events);
                    schedule.finish(id, result);
                }
            });
        }
    });
    let mut built = schedule.into_built();
    built.is_cancelled |= services.is_cancelled();
    Ok(built)
}

/// Looks one action up, or runs it.
fn advance(
    node: &Arc<ActionNode>,
    artifacts: &[Option<Output>],
    services: &Services<'_>,
    pool: &rayon::ThreadPool,
    events: &EventSink<'_>,
) -> Result<(Outputs, Origin), ActionError> {
    let start = Instant::now();
    let result = pool.install(|| look_up_or_run(node, artifacts, services, events));
    match result {
        Ok((outputs, digest, origin)) => {
            let node = Arc::clone(node);
            events(Event::Finished { node, digest, origin, elapsed: start.elapsed() });
            Ok((outputs, origin))
        }
        Err(error) => {
            if !matches!(error, ActionError::Cancelled) {
                events(Event::Failed { node: Arc::clone(node), message: error.to_string() });
            }
            Err(error)
        }
    }
}

fn look_up_or_run(
    node: &Arc<ActionNode>,
    artifacts: &[Option<Output>],
    services: &Services<'_>,
    events: &EventSink<'_>,
) -> Result<(Outputs, mc_digest::digest::ActionDigest, Origin), ActionError> {
    let mut digests = Vec::with_capacity(node.inputs.len());
    for (input, artifact) in node.inputs.iter().zip(artifacts) {
        digests.push(match (input, artifact) {
            (Input::Source(source), _) => Output::File(services.source_digest(source)?),
            (Input::Artifact(_), Some(output)) => output.clone(),
            (Input::Artifact(artifact), None) => {
                return Err(ActionError::failed(format!("`{artifact:?}` was not made by its action")));
            }
        });
    }
    let action = reapi::encode_action(node, &digests);
    if let Some(outputs) = lookup(services, &action)? {
        return Ok((outputs, action.digest, Origin::Hit));
    }
    if services.is_cancelled() {
        return Err(ActionError::Cancelled);
    }
    events(Event::Started { node: Arc::clone(node) });
    let ctx = RunContext { services, inputs: &node.inputs, digests: &digests };
    let outputs = node.action.run(&ctx)?;
    record(services, &action, &outputs)?;
    Ok((outputs, action.digest, Origin::Ran))
}

/// Who is next, and who waits for whom.
struct Schedule<'a> {
    graph: &'a ActionGraph,
    on_failure: OnFailure,
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    ready: BTreeSet<NodeId>,
    n_missing_inputs: Vec<usize>,
    n_running: usize,
    is_stopped: bool,
    failures: Vec<(NodeId, ActionError)>,
    outputs: Vec<Option<Outputs>>,
    n_hits: usize,
    n_ran: usize,
}

impl<'a> Schedule<'a> {
    fn new(graph: &'a ActionGraph, on_failure: OnFailure) -> Self {
        let n_missing_inputs: Vec<usize> = graph.ids().map(|id| graph.dependencies(id).len()).collect();
        let ready = graph.ids().filter(|id| n_missing_inputs[id.0] == 0).collect();
        let state = State {
            ready,
            n_missing_inputs,
            n_running: 0,
            is_stopped: false,
            failures: Vec::new(),
            outputs: vec![None; graph.len()],
            n_hits: 0,
            n_ran: 0,
        };
        Self { graph, on_failure, state: Mutex::new(state), changed: Condvar::new() }
    }

    // A panic in an action ends the scope anyway; the state it leaves is only counted, so it may be read.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next ready action with the outputs that it reads; waits while others may make one ready.
    fn next(&self, services: &Services<'_>) -> Option<(NodeId, Vec<Option<Output>>)> {
        let mut state = self.lock();
        loop {
            if state.is_stopped || services.is_cancelled() {
                self.changed.notify_all();
                return None;
            }
            if let Some(id) = state.ready.pop_first() {
                state.n_running += 1;
                let inputs = self.graph.node(id).inputs.iter().map(|input| self.made(&state, input)).collect();
                return Some((id, inputs));
            }
            if state.n_running == 0 {
                self.changed.notify_all();
                return None;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn made(&self, state: &State, input: &Input) -> Option<Output> {
        let Input::Artifact(artifact) = input else {
            return None;
        };
        let id = self.graph.id(&artifact.node)?;
        state.outputs[id.0].as_ref()?.get(&artifact.output).cloned()
    }

    fn finish(&self, id: NodeId, result: Result<(Outputs, Origin), ActionError>) {
        let mut state = self.lock();
        state.n_running -= 1;
        match result {
            Ok((outputs, origin)) => {
                state.outputs[id.0] = Some(outputs);
                match origin {
                    Origin::Hit => state.n_hits += 1,
                    Origin::Ran => state.n_ran += 1,
                }
                for dependent in self.graph.dependents(id) {
                    state.n_missing_inputs[dependent.0] -= 1;
                    if state.n_missing_inputs[dependent.0] == 0 {
                        state.ready.insert(dependent);
                    }
                }
            }
            Err(error) => {
                state.is_stopped |= self.on_failure == OnFailure::Stop;
                state.failures.push((id, error));
            }
        }
        self.changed.notify_all();
    }

    fn into_built(self) -> Built {
        let mut state = self.state.into_inner().unwrap_or_else(PoisonError::into_inner);
        state.failures.sort_by_key(|(id, _)| *id);
        let is_cancelled = state.failures.iter().any(|(_, error)| matches!(error, ActionError::Cancelled));
        let failures = state
            .failures
            .into_iter()
            .filter(|(_, error)| !matches!(error, ActionError::Cancelled))
            .map(|(id, error)| Failure { node: Arc::clone(self.graph.node(id)), error })
            .collect();
        Built {
            outputs: state.outputs,
            failures,
            is_cancelled,
            n_hits: state.n_hits,
            n_ran: state.n_ran,
        }
    }
}
