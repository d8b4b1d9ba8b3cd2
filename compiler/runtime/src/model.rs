//! A graph with its weights: checked once, then run.
//!
//! The graph defines the computation, the [`Backend`] performs it. This module only traverses the graph: it looks up
//! values, frees those that are not read again, reports the inputs of products to observers, and checks that numbers
//! are finite.

use std::ops::Range;
use std::sync::Arc;

use candle_core::{DType, Tensor};
use mc_decoder::lower::lower;
use mc_decoder::program::Decoder;
use mc_graph::decompose::decompose;
use mc_graph::graph::{Graph, Origin};
use mc_graph::ids::ValueId;
use mc_graph::scope::Lengths;
use mc_tensor::model_tensor::ModelTensor;

use crate::backend::{Backend, BackendId, Call, Input, StateRows, Value};
use crate::cancellation::Cancellation;
use crate::cpu_exact::CpuExact;
use crate::error::RuntimeError;
use crate::fallback;
use crate::host::with_numbers;
use crate::kv_cache::KvCache;
use crate::logits::{LogitPositions, Logits};
use crate::observer::{self, ActivationObserver, Chosen, ProductInputs};
use crate::plan::{Observed, Plan, Step};
use crate::weight::Weight;
use crate::weights::Weights;

/// A model that can be run.
#[derive(Debug)]
pub struct Model {
    graph: Graph,
    plan: Plan,
    backend: Arc<dyn Backend>,
    /// The weights, by value of the graph.
    weights: Vec<Option<Weight>>,
    context_length: usize,
    n_vocab: usize,
}

impl Model {
    /// Creates a model on the exact CPU backend.
    ///
    /// # Errors
    /// If a tensor is missing or has another shape than the program needs, or the program is inconsistent.
    pub fn new(decoder: &Decoder, weights: Weights) -> Result<Self, RuntimeError> {
        Self::with_backend(decoder, weights, Arc::new(CpuExact::new()))
    }

    /// Creates a model on a backend.
    ///
    /// # Errors
    /// As [`Model::new`].
    pub fn with_backend(
        decoder: &Decoder,
        weights: Weights,
        backend: Arc<dyn Backend>,
    ) -> Result<Self, RuntimeError> {
        let graph =
            lower(decoder).map_err(|error| RuntimeError::InconsistentProgram { what: error.to_string() })?;
        Self::of_graph(&graph, decoder.context_length as usize, weights, backend)
    }

    /// Creates a model from a graph with the results `hidden` and `logits`.
    ///
    /// * `context_length`: context length of the training, in tokens
    ///
    /// # Errors
    /// As [`Model::new`].
    pub fn of_graph(
        graph: &Graph,
        context_length: usize,
        mut weights: Weights,
        backend: Arc<dyn Backend>,
    ) -> Result<Self, RuntimeError> {
        let graph = decompose(graph, |operator| backend.has(operator))
            .map_err(|error| RuntimeError::InconsistentProgram { what: error.to_string() })?;
        let plan = Plan::new(&graph)?;
        let mut by_value: Vec<Option<Weight>> = vec![None; graph.values().len()];
        for (tensor, id, value_type) in graph.weights() {
            let shape: Vec<usize> =
                value_type.dims.iter().filter_map(|dim| dim.fixed()).map(|n| n as usize).collect();
            by_value[id.index()] = Some(backend.load(weights.take(tensor, &shape)?)?);
        }
        let n_vocab = graph.value(plan.logits).value_type.width().unwrap_or(0) as usize;
        Ok(Self { graph, plan, backend, weights: by_value, context_length, n_vocab })
    }

    /// Context length of the training, in tokens.
    pub fn context_length(&self) -> usize {
        self.context_length
    }

    /// Identifies the arithmetic behind its numbers.
    pub fn backend_id(&self) -> BackendId {
        self.backend.id()
    }

    /// Size of the vocabulary.
    pub fn n_vocab(&self) -> usize {
        self.n_vocab
    }

    /// Creates an empty cache for one sequence of at most `capacity` tokens. If the rotary embedding differs between
    /// short and long contexts, the capacity selects one.
    pub fn new_cache(&self, capacity: usize) -> KvCache {
        KvCache::new(&self.graph, &*self.backend, capacity)
    }

    /// Processes `tokens` after those in the cache, and adds them to the cache.
    ///
    /// A sequence may be split into batches of any size: the bits of the logits are the same.
    ///
    /// # Errors
    /// If there are no tokens, a token is out of range, the cache is full or foreign, or a value is not finite. The
    /// cache is then unchanged.
    pub fn forward(
        &self,
        tokens: &[u32],
        cache: &mut KvCache,
        positions: &LogitPositions,
        observer: Option<&mut dyn ActivationObserver>,
    ) -> Result<Logits, RuntimeError> {
        self.forward_unless(Cancellation::NEVER, tokens, cache, positions, observer)
    }

    /// Like [`Model::forward`], but cancellable. If cancelled, the cache is unchanged.
    pub(crate) fn forward_unless(
        &self,
        cancellation: Cancellation<'_>,
        tokens: &[u32],
        cache: &mut KvCache,
        positions: &LogitPositions,
        mut observer: Option<&mut dyn ActivationObserver>,
    ) -> Result<Logits, RuntimeError> {
        let hidden = self.hidden(cancellation, tokens, cache, observer::lend(&mut observer))?;
        match self.logits(cancellation, &hidden, positions.range(tokens.len()), observer) {
            Ok(logits) => Ok(logits),
            Err(error) => {
                cache.truncate(hidden.first_position)?;
                Err(error)
            }
        }
    }

    /// Like [`Model::forward_unless`], up to the last layer. On an error the cache is unchanged.
    pub(crate) fn hidden(
        &self,
        cancellation: Cancellation<'_>,
        tokens: &[u32],
        cache: &mut KvCache,
        observer: Option<&mut dyn ActivationObserver>,
    ) -> Result<Hidden, RuntimeError> {
        if tokens.is_empty() {
            return Err(RuntimeError::EmptySequence);
        }
        let n_vocab = self.n_vocab;
        if let Some(token) = tokens.iter().find(|token| **token as usize >= n_vocab) {
            return Err(RuntimeError::TokenOutOfRange { token: *token, n_vocab });
        }
        cache.check(&self.graph, tokens.len())?;
        let first_position = cache.n_positions();
        let lengths =
            Lengths { first_position, n_tokens: tokens.len(), n_positions_at_most: cache.capacity() };
        let given = |origin: Origin| matches!(origin, Origin::Tokens);
        let tokens_tensor = Tensor::new(tokens, self.backend.device())?;
        let mut pass = Pass { model: self, cancellation, lengths, states: cache.states_mut(), observer };
        let result = pass.run(&self.plan.body, self.slots(given, tokens_tensor), self.plan.hidden);
        match result {
            Ok(stream) => {
                cache.advance(tokens.len());
                Ok(Hidden { stream, first_position })
            }
            Err(error) => {
                cache.truncate(first_position)?;
                Err(error)
            }
        }
    }

    /// Applies the head to some of the rows.
    pub(crate) fn logits(
        &self,
        cancellation: Cancellation<'_>,
        hidden: &Hidden,
        rows: Range<usize>,
        observer: Option<&mut dyn ActivationObserver>,
    ) -> Result<Logits, RuntimeError> {
        if rows.is_empty() {
            return Ok(Logits::new(self.n_vocab, Vec::new()));
        }
        let first_position = hidden.first_position + rows.start;
        let stream = hidden.stream.narrow(0, rows.start, rows.len())?.contiguous()?;
        let lengths = Lengths {
            first_position,
            n_tokens: rows.len(),
            n_positions_at_most: first_position + rows.len(),
        };
        let mut slots = vec![None; self.graph.values().len()];
        slots[self.plan.hidden.index()] = Some(Value::Tensor(stream));
        let mut pass = Pass { model: self, cancellation, lengths, states: &mut [], observer };
        let logits = pass.run(&self.plan.head, slots, self.plan.logits)?;
        Ok(Logits::new(self.n_vocab, host_values(&logits)?))
    }

    fn slots(&self, is_given: impl Fn(Origin) -> bool, tensor: Tensor) -> Vec<Option<Value>> {
        let slot =
            |value: &mc_graph::graph::Value| is_given(value.origin).then(|| Value::Tensor(tensor.clone()));
        self.graph.values().iter().map(slot).collect()
    }
}

/// The residual stream after the last layer, for each token of a batch.
#[derive(Debug)]
pub(crate) struct Hidden {
    stream: Tensor,
    first_position: usize,
}

/// One pass over a stage of the graph.
struct Pass<'m, 'c, 's, 'o> {
    model: &'m Model,
    cancellation: Cancellation<'c>,
    lengths: Lengths,
    states: &'s mut [Box<dyn StateRows>],
    observer: Option<&'o mut (dyn ActivationObserver + 'o)>,
}

impl Pass<'_, '_, '_, '_> {
    fn run(
        &mut self,
        steps: &[Step],
        mut slots: Vec<Option<Value>>,
        result: ValueId,
    ) -> Result<Tensor, RuntimeError> {
        for step in steps {
            if step.is_product {
                self.cancellation.check()?;
            }
            if let Some(observed) = &step.observed {
                self.observe(observed, &slots)?;
            }
            self.step(step, &mut slots)?;
            for freed in &step.freed {
                slots[freed.index()] = None;
            }
        }
        match slots[result.index()].take() {
            Some(Value::Tensor(tensor)) => Ok(tensor),
            _ => {
                let what = "the result is a state".to_owned();
                Err(RuntimeError::InconsistentProgram { what })
            }
        }
    }

    fn step(&mut self, step: &Step, slots: &mut [Option<Value>]) -> Result<(), RuntimeError> {
        let model = self.model;
        let node = &model.graph.nodes()[step.node];
        let inputs = node.inputs.iter().map(|input| model.input(*input, slots)).collect::<Result<_, _>>()?;
        let operator = &*node.operator;
        let device = model.backend.device();
        let mut call = Call { operator, inputs, lengths: self.lengths, device, states: self.states };
        let outputs =
            if model.backend.has(operator) { model.backend.run(&mut call)? } else { fallback::run(&call)? };
        for (id, output) in node.outputs.iter().zip(outputs) {
            if let (Value::Tensor(tensor), Some(name)) = (&output, &model.graph.value(*id).name) {
                self.check_finite(tensor, name)?;
            }
            slots[id.index()] = Some(output);
        }
        Ok(())
    }

    fn observe(&mut self, observed: &Observed, slots: &[Option<Value>]) -> Result<(), RuntimeError> {
        let Some(observer) = observer::lend(&mut self.observer) else { return Ok(()) };
        let tensor = self.model.input(observed.input, slots)?.tensor()?;
        let experts = match observed.chosen {
            Some(chosen) => host_indices(self.model.input(chosen, slots)?.tensor()?)?,
            None => Vec::new(),
        };
        let n_experts =
            observed.chosen.and(observed.tensors.first()).map(|tensor| self.model.n_parts(*tensor));
        with_values(tensor, |rows| {
            observer.observe(&ProductInputs {
                tensors: &observed.tensors,
                rows,
                n_columns: tensor.dims().last().copied().unwrap_or(1),
                chosen: n_experts.map(|n_experts| Chosen { experts: &experts, n_experts }),
            });
        })
    }

    /// Checks the residual stream after each half of a layer. The check is cheap and lets an error name where the value
    /// first occurred.
    fn check_finite(&self, values: &Tensor, place: &str) -> Result<(), RuntimeError> {
        let n_columns = values.dims().last().copied().unwrap_or(1);
        let is_bad = |row: &[f32]| {
            // No early exit within a row, so that the loop is vectorized.
            row.iter().fold(false, |bad, value| bad | !value.is_finite())
        };
        let bad_row = with_values(values, |values| values.chunks_exact(n_columns).position(is_bad))?;
        match bad_row {
            None => Ok(()),
            Some(row) => {
                let position = self.lengths.first_position + row;
                Err(RuntimeError::NotFinite { place: place.to_owned(), position })
            }
        }
    }
}

impl Model {
    fn input<'a>(&'a self, id: ValueId, slots: &'a [Option<Value>]) -> Result<Input<'a>, RuntimeError> {
        if let Some(value) = &slots[id.index()] {
            return Ok(Input::Value(value));
        }
        let weight = self.weights[id.index()].as_ref().map(Input::Weight);
        weight.ok_or_else(|| RuntimeError::InconsistentProgram {
            what: format!("value {} is not there", id.index()),
        })
    }

    /// Number of matrices in a stack.
    fn n_parts(&self, tensor: ModelTensor) -> usize {
        let mut weights = self.graph.weights();
        let weight = weights.find(|(known, _, _)| *known == tensor);
        let weight = weight.and_then(|(_, id, _)| self.weights[id.index()].as_ref());
        weight.map_or(1, |weight| weight.shape()[0])
    }
}

/// Copies a tensor to the host and passes its numbers to `reader`.
fn with_values<T>(tensor: &Tensor, reader: impl FnOnce(&[f32]) -> T) -> Result<T, RuntimeError> {
    if tensor.device().is_cpu() {
        return Ok(with_numbers(tensor, reader)?);
    }
    Ok(reader(&host_values(tensor)?))
}

fn host_values(tensor: &Tensor) -> Result<Vec<f32>, RuntimeError> {
    Ok(tensor.flatten_all()?.to_dtype(DType::F32)?.to_vec1()?)
}

fn host_indices(tensor: &Tensor) -> Result<Vec<u32>, RuntimeError> {
    Ok(tensor.flatten_all()?.to_dtype(DType::U32)?.to_vec1()?)
}
