//! Result of a build: outputs, failures and counts.

use std::collections::BTreeSet;
use std::sync::Arc;

use mc_digest::digest::{ActionDigest, BlobDigest};
use mc_ir::action::{ActionError, ActionNode, Artifact};
use mc_ir::graph::{ActionGraph, NodeId};
use mc_ir::output::Output;

use crate::fetch::output_content;
use crate::ready_action::Done;
use crate::services::Services;

/// A failed action with its error.
#[derive(Debug)]
pub struct Failure {
    /// The action.
    pub node: Arc<ActionNode>,
    /// The error.
    pub error: ActionError,
}

/// Result of a build.
#[derive(Debug, Default)]
pub struct Built {
    pub(crate) done: Vec<Option<Done>>,
    /// Every action that failed itself, in the order of the graph; not those that only depend on one.
    pub failures: Vec<Failure>,
    /// True if the user stopped the build.
    pub is_interrupted: bool,
    /// Actions found in the cache.
    pub n_hits: usize,
    /// Actions run.
    pub n_ran: usize,
}

impl Built {
    /// The output of an artifact; `None` if its action failed or was never reached.
    pub fn output(&self, graph: &ActionGraph, artifact: &Artifact) -> Option<&Output> {
        let id = graph.id(&artifact.node)?;
        self.done[id.0].as_ref()?.outputs.get(&artifact.output)
    }

    /// The results behind some artifacts: those of their actions and of all that these need, sorted.
    pub fn results_behind<'a>(
        &self,
        graph: &ActionGraph,
        artifacts: impl Iterator<Item = &'a Artifact>,
    ) -> Vec<ActionDigest> {
        let mut pending: Vec<NodeId> = artifacts.filter_map(|artifact| graph.id(&artifact.node)).collect();
        let mut seen: BTreeSet<NodeId> = pending.iter().copied().collect();
        let mut results = BTreeSet::new();
        while let Some(id) = pending.pop() {
            results.extend(self.done[id.0].as_ref().map(|done| done.digest));
            pending.extend(graph.dependencies(id).into_iter().filter(|id| seen.insert(*id)));
        }
        results.into_iter().collect()
    }

    /// Checks an artifact that is read outside of actions as an action checks its inputs. A damaged blob, or a foreign
    /// result that cannot be parsed, is recorded as a reason to build again and remade then. An artifact that cannot be
    /// opened is reported by the code that reads it.
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
                // If the blob cannot be moved away now, the next build finds it again.
                drop(services.store.doubt(expected));
                services.suspects.lost();
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
