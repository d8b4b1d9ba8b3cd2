//! Lowers the operators of a graph to those of LiteRT, for a fixed number of tokens.
//!
//! A signature of a file has fixed shapes: this many tokens, and caches for this many positions. So the same graph is
//! lowered once for each signature; weights are shared between them.

pub(crate) mod basics;
mod halves;
mod masks;

use std::collections::BTreeMap;

use mc_graph::graph::{Graph, Node, Origin};
use mc_graph::ids::ValueId;
use mc_graph::operator::Operator;
use mc_graph::value_type::Dim;
use mc_tensor::model_tensor::ModelTensor;

use crate::caches::Cache;
use crate::positions::Positions;
use crate::settings::ActivationBits;
use crate::tflite::element_type::ElementType;
use crate::tflite::subgraph::{Source, Subgraph, Tensor, TensorEntry};
use crate::weights::{Scaling, Weights};

/// Everything that the signatures of a file share.
pub(crate) struct Shared<'a> {
    pub(crate) graph: &'a Graph,
    pub(crate) weights: &'a Weights,
    pub(crate) caches: &'a [Option<Cache>],
    /// Number of positions of the caches.
    pub(crate) n_positions: u32,
    /// Precision of the activations that are multiplied by integers.
    pub(crate) activation_bits: ActivationBits,
}

/// The state of a lowering.
pub(crate) struct Lowering<'a> {
    pub(crate) shared: &'a Shared<'a>,
    pub(crate) n_tokens: u32,
    /// True if the tokens are a prompt without its last token.
    pub(crate) is_prompt: bool,
    pub(crate) subgraph: Subgraph,
    /// The tokens of the batch, `[1, tokens]`.
    pub(crate) tokens: Tensor,
    /// Everything that follows from the positions of the tokens.
    pub(crate) positions: Positions,
    /// The caches before the batch, by number of the state.
    pub(crate) cached: Vec<Option<Tensor>>,
    /// The caches after the batch.
    pub(crate) updated: Vec<Option<Tensor>>,
    values: Vec<Option<Tensor>>,
    /// Activations in two parts, by the index of their tensor.
    halves: BTreeMap<i32, Tensor>,
}

impl<'a> Lowering<'a> {
    /// Creates a subgraph with the inputs of a signature.
    pub(crate) fn new(name: &str, shared: &'a Shared<'a>, n_tokens: u32, is_prompt: bool) -> Self {
        let mut subgraph = Subgraph::new(name.to_owned());
        let tokens = subgraph.input("tokens", ElementType::I32, &[1, n_tokens]);
        let input_pos = subgraph.input("input_pos", ElementType::I32, &[n_tokens]);
        let mask = subgraph.input("mask", ElementType::F32, &[1, 1, n_tokens, shared.n_positions]);
        let mut input = |cache: &Cache| subgraph.input(&cache.name, ElementType::F32, &cache.shape);
        let cached: Vec<Option<Tensor>> =
            shared.caches.iter().map(|cache| cache.as_ref().map(&mut input)).collect();
        Self {
            shared,
            n_tokens,
            is_prompt,
            subgraph,
            tokens,
            positions: Positions::new(input_pos, mask),
            updated: vec![None; cached.len()],
            cached,
            values: vec![None; shared.graph.values().len()],
            halves: BTreeMap::new(),
        }
    }

    /// The shape of dimensions in this signature.
    pub(crate) fn shape(&self, dims: &[Dim]) -> Vec<u32> {
        let length = |dim: &Dim| match dim {
            Dim::Fixed(n) => *n,
            Dim::Tokens(more) => self.n_tokens + more,
            Dim::Positions => self.shared.n_positions,
        };
        dims.iter().map(length).collect()
    }

    /// A value of the graph that was lowered, or a weight.
    ///
    /// # Errors
    /// If it has no tensor in LiteRT, as a message.
    pub(crate) fn value(&mut self, id: ValueId) -> Result<Tensor, String> {
        if let Some(tensor) = &self.values[id.index()] {
            return Ok(tensor.clone());
        }
        let tensor = match self.shared.graph.value(id).origin {
            Origin::Tokens => self.reshape(&self.tokens.clone(), &[self.n_tokens]),
            Origin::Weight(tensor) => self.weight(tensor)?,
            Origin::Node(_) | Origin::Argument(_) => {
                return Err("a value that no operator before it computes".to_owned());
            }
        };
        self.values[id.index()] = Some(tensor.clone());
        Ok(tensor)
    }

    /// The inputs of a node.
    ///
    /// # Errors
    /// As [`Self::value`].
    pub(crate) fn inputs<const N: usize>(&mut self, node: &Node) -> Result<[Tensor; N], String> {
        let inputs: Vec<Tensor> =
            node.inputs.iter().map(|input| self.value(*input)).collect::<Result<_, _>>()?;
        let n_inputs = inputs.len();
        inputs.try_into().map_err(|_| format!("`{}` with {n_inputs} inputs", node.operator.name()))
    }

    /// Records the output of a node.
    pub(crate) fn set(&mut self, output: ValueId, tensor: Tensor) {
        self.values[output.index()] = Some(tensor);
    }

    fn weight(&mut self, tensor: ModelTensor) -> Result<Tensor, String> {
        let number =
            self.shared.weights.number(tensor).ok_or_else(|| format!("the missing tensor `{tensor}`"))?;
        let weight = &self.shared.weights.list[number];
        let entry = |source: Source, element_type, shape: &[u32], name: String| TensorEntry {
            shape: shape.to_vec(),
            element_type,
            source,
            name,
        };
        let codes = self.subgraph.weight(2 * number, || {
            entry(Source::Weight(number), weight.element_type, &weight.shape, weight.name.clone())
        });
        if let Scaling::Blocks(len) = weight.scaling {
            let shape = [weight.shape[0], weight.shape[1] / len];
            self.subgraph.weight(2 * number + 1, || {
                entry(Source::Scales(number), ElementType::F16, &shape, weight.scales_name())
            });
        }
        Ok(codes)
    }
}

/// The operator of a node.
///
/// # Errors
/// If it has another type than its name says, as a message.
pub(crate) fn operator<T: Operator>(node: &Node) -> Result<&T, String> {
    node.operator.get().ok_or_else(|| format!("an operator that calls itself `{}`", node.operator.name()))
}
