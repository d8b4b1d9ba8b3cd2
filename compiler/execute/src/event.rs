//! Events of a build, for display.

use std::sync::Arc;
use std::time::Duration;

use mc_digest::digest::ActionDigest;
use mc_ir::action::ActionNode;
use mc_ir::graph::ActionGraph;
use mc_ir::work::Progress;

/// The source of an action's outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Found in the action cache; every output is in the store.
    Hit,
    /// Fetched from the remote cache.
    Fetched,
    /// Run now, on a remote worker.
    RanRemotely,
    /// Run now, on this machine.
    Ran,
}

/// An event.
#[derive(Clone, Debug)]
pub enum Event {
    /// The graph is complete.
    Planned {
        /// Its actions, inputs before their readers.
        nodes: Vec<Arc<ActionNode>>,
    },
    /// An action missed the cache and was sent to workers; none of them has started it yet.
    Queued {
        /// The action.
        node: Arc<ActionNode>,
    },
    /// An action missed the cache and starts to run.
    Started {
        /// The action.
        node: Arc<ActionNode>,
    },
    /// A running action made progress.
    Progressed {
        /// The action.
        node: Arc<ActionNode>,
        /// Its progress.
        progress: Progress,
    },
    /// An action has its outputs.
    Finished {
        /// The action.
        node: Arc<ActionNode>,
        /// Its key in the action cache.
        digest: ActionDigest,
        /// The source of the outputs.
        origin: Origin,
        /// Duration of the run, or of the lookup if it was not run. Excludes waiting before a run.
        elapsed: Duration,
    },
    /// An action failed.
    Failed {
        /// The action.
        node: Arc<ActionNode>,
        /// The full error message.
        message: String,
        /// True if the action itself is not at fault: a gate on which it depends failed.
        is_gate: bool,
    },
}

impl Event {
    /// Creates the event that lists the actions of a graph.
    pub(crate) fn planned(graph: &ActionGraph) -> Self {
        Self::Planned { nodes: graph.ids().map(|id| Arc::clone(graph.node(id))).collect() }
    }
}

/// Receives events; called from several threads.
pub type EventSink<'a> = dyn Fn(Event) + Sync + 'a;
