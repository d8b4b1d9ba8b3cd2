//! The action graph: every action that the requested artifacts need, each once.
//!
//! Nodes of equal structure are merged, so targets share actions. A shared action gets the restrictions of all its
//! targets ([`Tags`]): if one target forbids that an action leaves this machine, it does not leave it for the other
//! targets either. The graph holds no bytes and is dropped after the build.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use petgraph::Direction;
use petgraph::graph::{DiGraph, NodeIndex};

use crate::action::{ActionNode, Artifact, Input};
use crate::tags::Tags;

/// The actions of a build. An edge leads from an action to one that reads its outputs.
#[derive(Default)]
pub struct ActionGraph {
    graph: DiGraph<Arc<ActionNode>, ()>,
    index: BTreeMap<mc_digest::digest::Digest, NodeIndex>,
    /// Tags of each node, indexed by node number.
    tags: Vec<Tags>,
}

/// A node's number in its graph, from 0. It is greater than the numbers of the nodes that it reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub usize);

impl ActionGraph {
    /// Builds the graph of all actions that the artifacts need.
    pub fn new(artifacts: &[Artifact]) -> Self {
        let mut graph = Self::default();
        let mut seen = BTreeSet::new();
        for artifact in artifacts {
            graph.add(&artifact.node, &mut seen);
        }
        graph
    }

    // Depth-first with an explicit stack, because a chain of targets may have any length.
    fn add(&mut self, root: &Arc<ActionNode>, seen: &mut BTreeSet<*const ActionNode>) {
        let mut stack = vec![(Arc::clone(root), false)];
        while let Some((node, inputs_added)) = stack.pop() {
            if let Some(known) = self.index.get(&node.structure()).filter(|_| inputs_added) {
                let tags = &mut self.tags[known.index()];
                *tags = tags.and(node.action.tags());
                continue;
            }
            // The inputs of a node are visited even if an equal node is present: they may have other tags.
            if !inputs_added && !seen.insert(Arc::as_ptr(&node)) {
                continue;
            }
            let needs = node.inputs.iter().filter_map(|input| match input {
                Input::Artifact(artifact) => Some(&artifact.node),
                Input::Source(_) => None,
            });
            if inputs_added {
                let sources: Vec<NodeIndex> = needs.map(|need| self.index[&need.structure()]).collect();
                let target = self.graph.add_node(Arc::clone(&node));
                self.index.insert(node.structure(), target);
                self.tags.push(node.action.tags());
                for source in sources {
                    self.graph.update_edge(source, target, ());
                }
            } else {
                let missing: Vec<_> =
                    needs.filter(|need| !seen.contains(&Arc::as_ptr(need))).cloned().collect();
                stack.push((Arc::clone(&node), true));
                stack.extend(missing.into_iter().rev().map(|need| (need, false)));
            }
        }
    }

    /// Number of actions.
    pub fn len(&self) -> usize {
        self.graph.node_count()
    }

    /// Returns true if the graph has no actions.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The action with this number.
    pub fn node(&self, id: NodeId) -> &Arc<ActionNode> {
        &self.graph[NodeIndex::new(id.0)]
    }

    /// The union of the restrictions of all targets that share the action.
    pub fn tags(&self, id: NodeId) -> Tags {
        self.tags[id.0]
    }

    /// The number of a node of the graph.
    pub fn id(&self, node: &ActionNode) -> Option<NodeId> {
        self.index.get(&node.structure()).map(|index| NodeId(index.index()))
    }

    /// All actions; inputs come before their readers.
    pub fn ids(&self) -> impl Iterator<Item = NodeId> + use<> {
        (0..self.len()).map(NodeId)
    }

    /// The actions that read outputs of this one, in order.
    pub fn dependents(&self, id: NodeId) -> Vec<NodeId> {
        self.neighbors(id, Direction::Outgoing)
    }

    /// The actions whose outputs this one reads, in order.
    pub fn dependencies(&self, id: NodeId) -> Vec<NodeId> {
        self.neighbors(id, Direction::Incoming)
    }

    fn neighbors(&self, id: NodeId, direction: Direction) -> Vec<NodeId> {
        let mut ids: Vec<_> = self
            .graph
            .neighbors_directed(NodeIndex::new(id.0), direction)
            .map(|index| NodeId(index.index()))
            .collect();
        ids.sort();
        ids
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::action::tests::{Fake, fake, node, source};

    #[test]
    fn a_shared_action_is_one_node_and_comes_before_its_readers() {
        let shared = || node("a", fake(), vec![source("x")]);
        let reader = |parameter| {
            let input = Input::Artifact(shared().artifact("out"));
            node("b", Fake { parameter, ..fake() }, vec![input])
        };
        let graph = ActionGraph::new(&[reader("1").artifact("out"), reader("2").artifact("out")]);
        assert_eq!(graph.len(), 3);
        let id = graph.id(&shared()).unwrap();
        assert_eq!(graph.dependents(id).len(), 2);
        assert!(graph.dependents(id).iter().all(|&reader| reader > id));
        assert_eq!(graph.dependencies(NodeId(2)), [id]);
    }

    #[test]
    fn a_shared_action_gets_the_restrictions_of_all_its_targets() {
        let tags = |word| Tags::named(word).unwrap();
        let first = |tags| node("a", Fake { tags, ..fake() }, vec![source("x")]);
        // Equal to `first`, but its target has no tags.
        let second = |tags| node("b", fake(), vec![Input::Artifact(first(tags).artifact("out"))]);
        let plain = second(Tags::default());
        let [upload, exec] = ["no-remote-cache-upload", "no-remote-exec"].map(|word| second(tags(word)));
        let id = NodeId(0);
        for nodes in [[&plain, &upload, &exec], [&exec, &upload, &plain], [&upload, &plain, &exec]] {
            let graph = ActionGraph::new(&nodes.map(|node| node.artifact("out")));
            assert_eq!(graph.len(), 2);
            assert_eq!(graph.tags(id), tags("no-remote-cache-upload").and(tags("no-remote-exec")));
            assert_eq!(graph.tags(NodeId(1)), Tags::default());
        }
        assert_eq!(ActionGraph::new(&[plain.artifact("out")]).tags(id), Tags::default());
    }

    #[test]
    fn a_chain_of_fifty_thousand_actions_does_not_overflow_the_stack() {
        let mut last = node("a", fake(), vec![source("x")]);
        for _ in 0..50_000 {
            last = node("a", fake(), vec![Input::Artifact(last.artifact("out"))]);
        }
        let graph = ActionGraph::new(&[last.artifact("out")]);
        assert_eq!(graph.len(), 50_001);
        // Dropped node by node, because dropping the chain at once would recurse.
        let mut next = Some(last);
        drop(graph);
        while let Some(node) = next {
            next = Arc::into_inner(node).and_then(|mut node| match node.inputs.pop() {
                Some(Input::Artifact(artifact)) => Some(artifact.node),
                _ => None,
            });
        }
    }
}
