//! The signatures of a file, each lowered from the same graph.

use mc_decoder::lower::LOGITS;
use mc_graph::graph::{Graph, Node, Origin};
use mc_graph::ids::ValueId;

use crate::lowering::{Lowering, Shared};
use crate::operators;
use crate::tflite::subgraph::Subgraph;

/// The signatures of a file: one for each number of a prompt's tokens, which appends them to the caches, and one that
/// appends a token and returns the logits of the next one.
///
/// * `prefill`: the numbers of tokens
///
/// # Errors
/// If an operator cannot be lowered, as a message.
pub(crate) fn signatures(shared: &Shared<'_>, prefill: &[u32]) -> Result<Vec<Subgraph>, String> {
    let prefill =
        prefill.iter().map(|n_tokens| lower(shared, &format!("prefill_{n_tokens}"), *n_tokens, false));
    prefill.chain([lower(shared, "decode", 1, true)]).collect()
}

fn lower(shared: &Shared<'_>, name: &str, n_tokens: u32, has_logits: bool) -> Result<Subgraph, String> {
    let mut lowering = Lowering::new(name, shared, n_tokens, !has_logits);
    let logits = shared.graph.output(LOGITS).filter(|_| has_logits);
    let is_needed = needed(shared.graph, logits);
    for (node, _) in shared.graph.nodes().iter().zip(&is_needed).filter(|(_, is_needed)| **is_needed) {
        let operator = operators::by_name(node.operator.name())
            .ok_or_else(|| format!("the operator `{}`", node.operator.name()))?;
        (operator.lower)(&mut lowering, node)?;
    }
    for (cache, updated) in shared.caches.iter().zip(lowering.updated.clone()) {
        if let (Some(cache), Some(updated)) = (cache, updated) {
            lowering.subgraph.output(&cache.name, &updated);
        }
    }
    if let Some(logits) = logits {
        let logits = lowering.value(logits)?;
        let shape = [&[1], logits.shape.as_slice()].concat();
        let logits = lowering.reshape(&logits, &shape);
        lowering.subgraph.output("logits", &logits);
    }
    Ok(lowering.subgraph)
}

/// For each node, true if a cache or the logits depend on it.
fn needed(graph: &Graph, logits: Option<ValueId>) -> Vec<bool> {
    let mut is_needed = vec![false; graph.nodes().len()];
    let node_of = |value: ValueId| match graph.value(value).origin {
        Origin::Node(number) => Some(number as usize),
        Origin::Tokens | Origin::Weight(_) | Origin::Argument(_) => None,
    };
    if let Some(node) = logits.and_then(node_of) {
        is_needed[node] = true;
    }
    for (number, Node { operator, inputs, .. }) in graph.nodes().iter().enumerate().rev() {
        is_needed[number] |= !operator.is_pure();
        if is_needed[number] {
            for node in inputs.iter().filter_map(|input| node_of(*input)) {
                is_needed[node] = true;
            }
        }
    }
    is_needed
}
