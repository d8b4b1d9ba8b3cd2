//! Events of a build, for display.

use std::sync::Arc;
use std::time::Duration;

use mc_digest::digest::ActionDigest;
use mc_ir::action::ActionNode;

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
        /// Number of its actions.
        n_actions: usize,
    },
    /// An action was not in the cache and starts to run.
    Started {
        /// The action.
        node: Arc<ActionNode>,
    },
    /// The outputs of an action are available.
    Finished {
        /// The action.
        node: Arc<ActionNode>,
        /// Its key in the action cache.
        digest: ActionDigest,
        /// The source of the outputs.
        origin: Origin,
        /// Time that it took.
        elapsed: Duration,
    },
    /// An action failed.
    Failed {
        /// The action.
        node: Arc<ActionNode>,
        /// The full error message.
        message: String,
    },
}

/// Receives events; called from several threads.
pub type EventSink<'a> = dyn Fn(Event) + Sync + 'a;
