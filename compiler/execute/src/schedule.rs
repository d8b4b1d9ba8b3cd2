//! Selects the next action: ready ones in the order of the graph, the others once their last input is available.
//!
//! This module runs nothing; the threads of a build request work from it until there is none.

use std::any::Any;
use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::mem::replace;
use std::panic::resume_unwind;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use mc_ir::action::{ActionError, Input};
use mc_ir::graph::{ActionGraph, NodeId};

use crate::built::{Built, Failure};
use crate::event::Origin;
use crate::options::OnFailure;
use crate::ready_action::{Done, ReadyInput};
use crate::services::Services;

/// The ready and the waiting actions.
pub(crate) struct Schedule<'a> {
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
    done: Vec<Option<Done>>,
    panic: Option<Panic>,
    n_hits: usize,
    n_ran: usize,
}

/// The payload of a panic.
type Panic = Box<dyn Any + Send>;

impl<'a> Schedule<'a> {
    pub(crate) fn new(graph: &'a ActionGraph, on_failure: OnFailure) -> Self {
        let n_missing_inputs: Vec<usize> = graph.ids().map(|id| graph.dependencies(id).len()).collect();
        let ready = graph.ids().filter(|id| n_missing_inputs[id.0] == 0).collect();
        let state = State {
            ready,
            n_missing_inputs,
            n_running: 0,
            is_stopped: false,
            failures: Vec::new(),
            done: graph.ids().map(|_| None).collect(),
            panic: None,
            n_hits: 0,
            n_ran: 0,
        };
        Self { graph, on_failure, state: Mutex::new(state), changed: Condvar::new() }
    }

    // No code under this lock panics in the middle of a change.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the next ready action with the outputs that it reads; waits while running actions may make one ready.
    pub(crate) fn next(&self, services: &Services<'_>) -> Option<(NodeId, Vec<Option<ReadyInput>>)> {
        let mut state = self.lock();
        loop {
            if state.is_stopped || services.is_cancelled() {
                self.changed.notify_all();
                return None;
            }
            if let Some(id) = state.ready.pop_first() {
                state.n_running += 1;
                let inputs =
                    self.graph.node(id).inputs.iter().map(|input| self.made(&state, input)).collect();
                return Some((id, inputs));
            }
            if state.n_running == 0 {
                self.changed.notify_all();
                return None;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn made(&self, state: &State, input: &Input) -> Option<ReadyInput> {
        let Input::Artifact(artifact) = input else {
            return None;
        };
        let id = self.graph.id(&artifact.node)?;
        let Done { outputs, digest, is_own, .. } = state.done[id.0].as_ref()?;
        let output = outputs.get(&artifact.output)?.clone();
        Some(ReadyInput { output, maker: *digest, is_own: *is_own })
    }

    pub(crate) fn finish(&self, id: NodeId, result: Result<Done, ActionError>) {
        let mut state = self.lock();
        state.n_running -= 1;
        match result {
            Ok(done) => {
                match done.origin {
                    Origin::Hit | Origin::Fetched => state.n_hits += 1,
                    Origin::Ran | Origin::RanRemotely => state.n_ran += 1,
                }
                state.done[id.0] = Some(done);
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

    /// Starts no further actions.
    pub(crate) fn stop(&self) {
        self.lock().is_stopped = true;
        self.changed.notify_all();
    }

    /// Records the panic of an action, and starts no further actions.
    pub(crate) fn abort(&self, panic: Panic) {
        let mut state = self.lock();
        state.n_running -= 1;
        state.is_stopped = true;
        state.panic.get_or_insert(panic);
        self.changed.notify_all();
    }

    /// Returns the result of the build, after all threads have ended.
    ///
    /// # Panics
    /// With the payload of the first action that panicked.
    pub(crate) fn into_built(self, is_interrupted: bool) -> Built {
        let mut state = self.state.into_inner().unwrap_or_else(PoisonError::into_inner);
        if let Some(panic) = state.panic {
            resume_unwind(panic);
        }
        state.failures.sort_by_key(|(id, _)| *id);
        // A store that cannot accept data is one problem, regardless of the number of actions that failed on it; so is
        // a modified source file.
        let mut is_store_given = false;
        let mut changed = BTreeSet::new();
        let mut causes = BTreeSet::new();
        let failures = state
            .failures
            .into_iter()
            .filter(|(_, error)| match error {
                // The user who stopped the build knows the reason.
                ActionError::Cancelled => false,
                ActionError::Io(error) if takes_nothing(error.kind()) => !replace(&mut is_store_given, true),
                ActionError::Changed { path, .. } => changed.insert(Arc::clone(path)),
                ActionError::Failed { cause: Some(cause), .. } => causes.insert(cause.clone()),
                _ => true,
            })
            .map(|(id, error)| Failure { node: Arc::clone(self.graph.node(id)), error })
            .collect();
        Built { done: state.done, failures, is_interrupted, n_hits: state.n_hits, n_ran: state.n_ran }
    }
}

fn takes_nothing(kind: ErrorKind) -> bool {
    use ErrorKind::{NotFound, PermissionDenied, ReadOnlyFilesystem, StorageFull};

    matches!(kind, StorageFull | ReadOnlyFilesystem | PermissionDenied | NotFound)
}
