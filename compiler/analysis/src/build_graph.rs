//! Converts analyzed targets to the action graph, which is outside salsa.

use mc_ir::action::Artifact;
use mc_ir::graph::ActionGraph;

/// Builds the graph of all actions that the artifacts need, each once.
///
/// Not a query: the graph is made for one build and dropped after it.
pub fn build_graph(artifacts: &[Artifact]) -> ActionGraph {
    ActionGraph::new(artifacts)
}
