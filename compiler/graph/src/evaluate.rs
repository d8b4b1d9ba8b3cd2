//! The reference evaluation of a graph: one operator after the other, in plain f32.
//!
//! Slow on purpose: kernels and exported files are compared with it.

use std::collections::BTreeMap;

use mc_tensor::model_tensor::ModelTensor;

use crate::error::GraphError;
use crate::graph::{Graph, Origin};
use crate::ids::ValueId;
use crate::scope::{Lengths, Scope};
use crate::tensor::Tensor;

/// A sequence to run a graph on.
#[derive(Clone, Debug)]
pub struct Sequence<'a> {
    graph: &'a Graph,
    weights: &'a BTreeMap<ModelTensor, Tensor>,
    states: Vec<Tensor>,
    n_positions: usize,
    n_positions_at_most: usize,
}

impl<'a> Sequence<'a> {
    /// Creates an empty sequence.
    ///
    /// * `n_positions_at_most`: maximum length of the sequence
    pub fn new(
        graph: &'a Graph,
        weights: &'a BTreeMap<ModelTensor, Tensor>,
        n_positions_at_most: usize,
    ) -> Self {
        let states = vec![Tensor::default(); graph.states().len()];
        Self { graph, weights, states, n_positions: 0, n_positions_at_most }
    }

    /// Runs the next tokens and returns the named results.
    ///
    /// # Errors
    /// [`GraphError::NoValue`] if a weight is missing, [`GraphError::Misfit`] if one has another shape.
    pub fn run(&mut self, tokens: &[u32]) -> Result<BTreeMap<String, Tensor>, GraphError> {
        let lengths = Lengths {
            first_position: self.n_positions,
            n_tokens: tokens.len(),
            n_positions_at_most: self.n_positions_at_most,
        };
        let given = |origin: Origin, shape: &[usize]| match origin {
            Origin::Weight(tensor) => weight(self.weights, tensor, shape),
            Origin::Tokens => {
                Ok(Tensor::new(shape.to_vec(), tokens.iter().map(|token| *token as f32).collect()))
            }
            Origin::Argument(number) => Err(GraphError::NoValue { what: format!("argument {number}") }),
            Origin::Node(number) => Err(GraphError::NoValue { what: format!("node {number}") }),
        };
        let outputs = evaluate(self.graph, given, lengths, &mut self.states)?;
        self.n_positions += tokens.len();
        let names = self.graph.outputs().iter().map(|(name, _)| name.clone());
        Ok(names.zip(outputs).collect())
    }
}

/// Evaluates the named results of a graph, in order.
///
/// * `given`: the values that no node computes, by origin and shape
///
/// # Errors
/// Errors of `given`.
pub fn evaluate(
    graph: &Graph,
    given: impl Fn(Origin, &[usize]) -> Result<Tensor, GraphError>,
    lengths: Lengths,
    states: &mut [Tensor],
) -> Result<Vec<Tensor>, GraphError> {
    let mut values: Vec<Option<Tensor>> = vec![None; graph.values().len()];
    for (slot, value) in values.iter_mut().zip(graph.values()) {
        if !matches!(value.origin, Origin::Node(_)) {
            *slot = Some(given(value.origin, &value.value_type.shape(lengths))?);
        }
    }
    for node in graph.nodes() {
        let inputs: Vec<&Tensor> = node.inputs.iter().map(|input| value(&values, *input)).collect();
        let outputs = node.operator.evaluate(&inputs, &mut Scope { lengths, states });
        for (id, output) in node.outputs.iter().zip(outputs) {
            debug_assert_eq!(output.shape, graph.value(*id).value_type.shape(lengths), "{node:?}");
            values[id.index()] = Some(output);
        }
    }
    Ok(graph.outputs().iter().map(|(_, id)| value(&values, *id).clone()).collect())
}

fn value(values: &[Option<Tensor>], id: ValueId) -> &Tensor {
    values[id.index()].as_ref().expect("nodes come after their inputs")
}

fn weight(
    weights: &BTreeMap<ModelTensor, Tensor>,
    tensor: ModelTensor,
    expected: &[usize],
) -> Result<Tensor, GraphError> {
    let weight = weights.get(&tensor);
    let weight = weight.ok_or_else(|| GraphError::NoValue { what: format!("weight `{tensor}`") })?;
    if weight.shape != expected {
        let shape = |shape: &[usize]| format!("a weight `{tensor}` of shape {shape:?}");
        return Err(GraphError::misfit("weight", shape(expected), shape(&weight.shape)));
    }
    Ok(weight.clone())
}
