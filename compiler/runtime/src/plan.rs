//! A graph prepared for running: the nodes before and after the last layer, the values to free, the values to observe
//! and to check.

use std::collections::BTreeMap;

use mc_decoder::lower::{HIDDEN, LOGITS};
use mc_graph::graph::{Graph, Node, Origin};
use mc_graph::ids::ValueId;
use mc_graph::operators::gather_matmul::GatherMatmul;
use mc_graph::operators::matmul::Matmul;
use mc_tensor::model_tensor::ModelTensor;

use crate::error::RuntimeError;

/// A graph in two stages: up to the last layer, and the head.
#[derive(Debug)]
pub(crate) struct Plan {
    /// From tokens to hidden rows.
    pub(crate) body: Vec<Step>,
    /// From hidden rows to logits; rows are independent.
    pub(crate) head: Vec<Step>,
    /// The rows between the stages, `[tokens, n_embd]`.
    pub(crate) hidden: ValueId,
    /// The result, `[tokens, n_vocab]`.
    pub(crate) logits: ValueId,
}

/// A node to be run.
#[derive(Debug)]
pub(crate) struct Step {
    /// Its index in the graph.
    pub(crate) node: usize,
    /// True if it is a product with a matrix of the model.
    pub(crate) is_product: bool,
    /// The rows reported to observers before it runs.
    pub(crate) observed: Option<Observed>,
    /// Values that no later node of the stage reads.
    pub(crate) freed: Vec<ValueId>,
}

/// Rows that are about to be multiplied.
#[derive(Debug)]
pub(crate) struct Observed {
    /// The matrices that share them.
    pub(crate) tensors: Vec<ModelTensor>,
    /// The rows.
    pub(crate) input: ValueId,
    /// The indices of the experts chosen for each row, for a stack of matrices.
    pub(crate) chosen: Option<ValueId>,
}

impl Plan {
    /// Prepares a graph.
    ///
    /// # Errors
    /// [`RuntimeError::InconsistentProgram`] if it has no hidden rows or logits, or the head reads more than the hidden
    /// rows.
    pub(crate) fn new(graph: &Graph) -> Result<Self, RuntimeError> {
        let result = |name: &str| {
            let inconsistent =
                || RuntimeError::InconsistentProgram { what: format!("expected a result `{name}`") };
            graph.output(name).ok_or_else(inconsistent)
        };
        let (hidden, logits) = (result(HIDDEN)?, result(LOGITS)?);
        let in_body = needed(graph, hidden, None);
        let in_head = needed(graph, logits, Some(hidden));
        let is_split =
            graph.nodes().iter().zip(&in_head).filter(|(_, is_there)| **is_there).all(|(node, _)| {
                let is_own = |input: &ValueId| match graph.value(*input).origin {
                    Origin::Node(number) => *input == hidden || in_head[number as usize],
                    Origin::Weight(_) => true,
                    Origin::Tokens | Origin::Argument(_) => false,
                };
                node.inputs.iter().all(is_own)
            });
        if !is_split {
            let what = "the head reads more than the rows of the last layer".to_owned();
            return Err(RuntimeError::InconsistentProgram { what });
        }
        Ok(Self {
            body: steps(graph, &in_body, hidden),
            head: steps(graph, &in_head, logits),
            hidden,
            logits,
        })
    }
}

/// The nodes that a value depends on; the traversal stops at `given`.
fn needed(graph: &Graph, value: ValueId, given: Option<ValueId>) -> Vec<bool> {
    let mut is_needed = vec![false; graph.nodes().len()];
    let mut open = vec![value];
    while let Some(value) = open.pop() {
        let Origin::Node(number) = graph.value(value).origin else { continue };
        if Some(value) != given && !std::mem::replace(&mut is_needed[number as usize], true) {
            open.extend(&graph.nodes()[number as usize].inputs);
        }
    }
    is_needed
}

fn steps(graph: &Graph, is_needed: &[bool], result: ValueId) -> Vec<Step> {
    let nodes = || graph.nodes().iter().enumerate().filter(|(number, _)| is_needed[*number]);
    let mut last_use: BTreeMap<ValueId, usize> = BTreeMap::new();
    let mut sharing: BTreeMap<(ValueId, Option<ValueId>), (usize, Vec<ModelTensor>)> = BTreeMap::new();
    for (number, node) in nodes() {
        last_use.extend(node.inputs.iter().map(|input| (*input, number)));
        if let Some((place, tensor)) = product(graph, node) {
            sharing.entry(place).or_insert_with(|| (number, Vec::new())).1.push(tensor);
        }
    }
    let step = |(number, node): (usize, &Node)| {
        let product = product(graph, node);
        let observed = product.and_then(|(place, _)| {
            let (first, tensors) = &sharing[&place];
            let (input, chosen) = place;
            (*first == number).then(|| Observed { tensors: tensors.clone(), input, chosen })
        });
        let is_freed = |input: &&ValueId| last_use[*input] == number && **input != result;
        let freed = node.inputs.iter().filter(is_freed).copied().collect();
        Step { node: number, is_product: product.is_some(), observed, freed }
    };
    nodes().map(step).collect()
}

/// The rows and the matrix, if the node is a product with a matrix of the model.
fn product(graph: &Graph, node: &Node) -> Option<((ValueId, Option<ValueId>), ModelTensor)> {
    let chosen = if node.operator.get::<Matmul>().is_some() {
        None
    } else {
        node.operator.get::<GatherMatmul>().and_then(|_| node.inputs.get(2)).map(Some)?.copied()
    };
    match graph.value(node.inputs[1]).origin {
        Origin::Weight(tensor) => Some(((node.inputs[0], chosen), tensor)),
        Origin::Tokens | Origin::Node(_) | Origin::Argument(_) => None,
    }
}
