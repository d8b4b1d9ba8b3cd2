//! What happens during a build, told to whoever shows it.

use std::sync::Arc;
use std::time::Duration;

use mc_digest::digest::ActionDigest;
use mc_ir::action::ActionNode;

/// How an action got its outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Found in the action cache, with every output in the store.
    Hit,
    /// FetchedFiles here from the team's cache.
    Fetched,
    /// Done now, by a worker of the team.
    RanRemotely,
    /// Done now, on this machine.
    Ran,
}

/// One thing that happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// The graph is known.
    Planned {
        /// How many actions it has.
        n_actions: usize,
    },
    /// An action was not in the cache and begins to run.
    Started {
        /// Which.
        node: Arc<ActionNode>,
    },
    /// An action has its outputs.
    Finished {
        /// Which.
        node: Arc<ActionNode>,
        /// Its key in the action cache.
        digest: ActionDigest,
        /// Hit or run.
        origin: Origin,
        /// How long that took.
        elapsed: Duration,
    },
    /// An action gave no outputs.
    Failed {
        /// Which.
        node: Arc<ActionNode>,
        /// Why, in full.
        message: String,
        /// True if nothing is wrong with the action: a gate failed that it waits for.
        is_gate: bool,
    },
}

/// Takes events; called from several threads.
pub type EventSink<'a> = dyn Fn(Event) + Sync + 'a;
