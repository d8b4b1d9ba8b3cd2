//! Where salsa ends: from analysed targets to the graph of actions that execution works through.

use mc_ir::action::Artifact;
use mc_ir::graph::ActionGraph;

/// Every action that the artifacts need, each once.
///
/// Not a query: the graph is made for one build and thrown away after it.
pub fn build_graph(artifacts: &[Artifact]) -> ActionGraph {
    ActionGraph::new(artifacts)
}
