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
    /// Found in the action cache, with every output in the store.
    Hit,
    /// Fetched from the remote cache.
    Fetched,
    /// Ran now, on a remote worker.
    RanRemotely,
    /// Ran now, on this machine.
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
    /// An action was not in the cache, and was sent to workers, of which none has taken it yet.
    Queued {
        /// Which.
        node: Arc<ActionNode>,
    },
    /// An action was not in the cache and starts to run.
    Started {
        /// The action.
        node: Arc<ActionNode>,
    },
    /// A running action is further than before.
    Progressed {
        /// Which.
        node: Arc<ActionNode>,
        /// How far it is.
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
        /// Time that the run took, or the look-up of one that was not run. Waits before a run are not in it.
        elapsed: Duration,
    },
    /// An action failed.
    Failed {
        /// The action.
        node: Arc<ActionNode>,
        /// The full error message.
        message: String,
        /// True if nothing is wrong with the action: a gate failed that it waits for.
        is_gate: bool,
    },
}

impl Event {
    /// The event that tells of the actions of a graph.
    pub(crate) fn planned(graph: &ActionGraph) -> Self {
        Self::Planned { nodes: graph.ids().map(|id| Arc::clone(graph.node(id))).collect() }
    }
}

/// Takes events; called from several threads.
pub type EventSink<'a> = dyn Fn(Event) + Sync + 'a;
