//! A program with its weights: checked once, then run.
//!
//! What is computed is told in [`mc_decoder::program`]; how, by the [`Backend`]. This module only walks the program.

use std::ops::Range;
use std::sync::Arc;

use candle_core::Tensor;
use mc_decoder::program::{Attention, Block, Decoder, Head};
use mc_tensor::model_tensor::ModelTensor;

use crate::backend::{Backend, BackendId};
use crate::cancellation::Cancellation;
use crate::cpu_exact::CpuExact;
use crate::error::RuntimeError;
use crate::kv_cache::KvCache;
use crate::logits::{LogitPositions, Logits};
use crate::observer::{self, ActivationObserver};
use crate::rotary::{RotaryFrequencies, RotaryTable};
use crate::runnable::{self, Layer};
use crate::weight::Weight;
use crate::weights::Weights;

/// A model that can be run.
#[derive(Debug)]
pub struct Model {
    decoder: Decoder,
    backend: Arc<dyn Backend>,
    token_embedding: Weight,
    blocks: Vec<BlockWeights>,
    output_norm: Vec<f32>,
    output: Option<Weight>,
}

/// A matrix and what is added to its product.
#[derive(Debug)]
struct Projection {
    weight: Weight,
    bias: Option<Vec<f32>>,
}

#[derive(Debug)]
struct BlockWeights {
    layer: Layer,
    attn_norm: Vec<f32>,
    q: Projection,
    k: Projection,
    v: Projection,
    attn_output: Projection,
    rotary: Option<RotaryFrequencies>,
    ffn_norm: Vec<f32>,
    gate: Weight,
    up: Weight,
    down: Weight,
}

impl Model {
    /// A model on the exact CPU backend.
    ///
    /// # Errors
    /// If the program contradicts itself, or a tensor that it needs is missing or has another shape.
    pub fn new(decoder: Decoder, weights: Weights) -> Result<Self, RuntimeError> {
        Self::with_backend(decoder, weights, Arc::new(CpuExact::new()))
    }

    /// A model on a backend.
    ///
    /// # Errors
    /// As [`Model::new`].
    pub fn with_backend(
        decoder: Decoder,
        mut weights: Weights,
        backend: Arc<dyn Backend>,
    ) -> Result<Self, RuntimeError> {
        let (n_vocab, n_embd) = (decoder.n_vocab as usize, decoder.n_embd as usize);
        if decoder.n_vocab == 0 || decoder.n_embd == 0 || decoder.blocks.is_empty() {
            let what = format!(
                "expected a vocabulary, a width and blocks; found {n_vocab}, {n_embd} and {}",
                decoder.blocks.len()
            );
            return Err(RuntimeError::InconsistentProgram { what });
        }
        runnable::check(&decoder)?;
        let factors = weights.get(ModelTensor::RopeFreqs).map(Weight::to_f32);
        let blocks = (0u32..).zip(&decoder.blocks);
        let blocks = blocks
            .map(|(number, block)| BlockWeights::new(number, block, n_embd, factors.as_deref(), &mut weights))
            .collect::<Result<_, _>>()?;
        let output = match decoder.head {
            Head::Tied => None,
            Head::Untied => Some(weights.take(ModelTensor::Output, &[n_vocab, n_embd])?),
        };
        Ok(Self {
            backend,
            token_embedding: weights.take(ModelTensor::TokenEmbedding, &[n_vocab, n_embd])?,
            blocks,
            output_norm: weights.take_vector(ModelTensor::OutputNorm, n_embd)?,
            output,
            decoder,
        })
    }

    /// The program.
    pub fn decoder(&self) -> &Decoder {
        &self.decoder
    }

    /// Which arithmetic its numbers are made with.
    pub fn backend_id(&self) -> BackendId {
        self.backend.id()
    }

    /// Tokens of the vocabulary.
    pub fn n_vocab(&self) -> usize {
        self.decoder.n_vocab as usize
    }

    /// An empty cache for one sequence of at most `capacity` tokens.
    pub fn new_cache(&self, capacity: usize) -> KvCache {
        KvCache::new(&self.decoder, capacity)
    }

    /// Runs `tokens` behind those that the cache has seen, and adds them to it.
    ///
    /// A sequence may be given in batches of any size: the logits are the same bits.
    ///
    /// # Errors
    /// If there is no token, a token is out of range, the cache is full or foreign, or a value is not finite. The
    /// cache then holds what it held before.
    pub fn forward(
        &self,
        tokens: &[u32],
        cache: &mut KvCache,
        positions: &LogitPositions,
        observer: Option<&mut dyn ActivationObserver>,
    ) -> Result<Logits, RuntimeError> {
        self.forward_unless(Cancellation::NEVER, tokens, cache, positions, observer)
    }

    /// As [`Model::forward`], as long as the logits are wanted. Otherwise the cache holds what it held before.
    pub(crate) fn forward_unless(
        &self,
        cancellation: Cancellation<'_>,
        tokens: &[u32],
        cache: &mut KvCache,
        positions: &LogitPositions,
        mut observer: Option<&mut dyn ActivationObserver>,
    ) -> Result<Logits, RuntimeError> {
        let hidden = self.hidden(cancellation, tokens, cache, observer::lend(&mut observer))?;
        self.logits(cancellation, &hidden, positions.range(tokens.len()), observer)
            .inspect_err(|_| cache.truncate(hidden.first_position))
    }

    /// As [`Model::forward_unless`], up to the last norm. On an error the cache holds what it held before.
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
        let n_vocab = self.n_vocab();
        if let Some(token) = tokens.iter().find(|token| **token as usize >= n_vocab) {
            return Err(RuntimeError::TokenOutOfRange { token: *token, n_vocab });
        }
        cache.check(&self.decoder, tokens.len())?;
        let first_position = cache.n_positions();
        let mut pass = Pass { model: self, cancellation, first_position, rotary: None, observer };
        match pass.run(tokens, cache) {
            Ok(stream) => {
                cache.advance(tokens.len());
                Ok(Hidden { stream, first_position })
            }
            Err(error) => {
                cache.truncate(first_position);
                Err(error)
            }
        }
    }

    /// The head, for some of the rows.
    pub(crate) fn logits(
        &self,
        cancellation: Cancellation<'_>,
        hidden: &Hidden,
        rows: Range<usize>,
        observer: Option<&mut dyn ActivationObserver>,
    ) -> Result<Logits, RuntimeError> {
        if rows.is_empty() {
            return Ok(Logits::new(self.n_vocab(), Vec::new()));
        }
        cancellation.check()?;
        let stream = hidden.stream.narrow(0, rows.start, rows.len())?;
        let normed = self.backend.norm(&stream, &self.output_norm, self.decoder.output_norm.epsilon)?;
        let (tensor, weight) = match &self.output {
            Some(weight) => (ModelTensor::Output, weight),
            None => (ModelTensor::TokenEmbedding, &self.token_embedding),
        };
        observe(&*self.backend, observer, &[tensor], &normed)?;
        let logits = self.backend.matmul(&normed, weight, None)?;
        check_finite(&*self.backend, &logits, hidden.first_position + rows.start, || "the head".to_owned())?;
        let mut values = Vec::new();
        self.backend.read(&logits, &mut |logits| values.extend_from_slice(logits))?;
        Ok(Logits::new(self.n_vocab(), values))
    }
}

/// The residual stream behind the last block, for each token of a batch.
#[derive(Debug)]
pub(crate) struct Hidden {
    stream: Tensor,
    first_position: usize,
}

impl BlockWeights {
    fn new(
        number: u32,
        block: &Block,
        n_embd: usize,
        factors: Option<&[f32]>,
        weights: &mut Weights,
    ) -> Result<Self, RuntimeError> {
        let layer = Layer::of(block).ok_or_else(|| RuntimeError::InconsistentProgram {
            what: format!("block {number} has no attention, or no norm before a half"),
        })?;
        check_block(number, block, &layer.attention, factors)?;
        let attention = &layer.attention;
        let head_dim = attention.head_dim as usize;
        let n_q = attention.n_heads as usize * head_dim;
        let n_kv = attention.n_kv_heads as usize * head_dim;
        let n_ff = block.feed_forward.n_ff as usize;
        let qkv_bias = attention.qkv_bias;
        let mut projection = |tensor, shape: [usize; 2], bias: Option<ModelTensor>| {
            let weight = weights.take(tensor, &shape)?;
            let bias = bias.map(|bias| weights.take_vector(bias, shape[0])).transpose()?;
            Ok::<_, RuntimeError>(Projection { weight, bias })
        };
        let block = number;
        let q_bias = qkv_bias.then_some(ModelTensor::AttnQBias { block });
        let k_bias = qkv_bias.then_some(ModelTensor::AttnKBias { block });
        let v_bias = qkv_bias.then_some(ModelTensor::AttnVBias { block });
        let output_bias = attention.output_bias.then_some(ModelTensor::AttnOutputBias { block });
        Ok(Self {
            q: projection(ModelTensor::AttnQ { block }, [n_q, n_embd], q_bias)?,
            k: projection(ModelTensor::AttnK { block }, [n_kv, n_embd], k_bias)?,
            v: projection(ModelTensor::AttnV { block }, [n_kv, n_embd], v_bias)?,
            attn_output: projection(ModelTensor::AttnOutput { block }, [n_embd, n_q], output_bias)?,
            attn_norm: weights.take_vector(ModelTensor::AttnNorm { block }, n_embd)?,
            rotary: attention.rotary.as_ref().map(|rotary| RotaryFrequencies::new(rotary, factors)),
            ffn_norm: weights.take_vector(ModelTensor::FfnNorm { block }, n_embd)?,
            gate: weights.take(ModelTensor::FfnGate { block }, &[n_ff, n_embd])?,
            up: weights.take(ModelTensor::FfnUp { block }, &[n_ff, n_embd])?,
            down: weights.take(ModelTensor::FfnDown { block }, &[n_embd, n_ff])?,
            layer,
        })
    }
}

/// What a program can say wrongly about one block.
fn check_block(
    number: u32,
    block: &Block,
    attention: &Attention,
    factors: Option<&[f32]>,
) -> Result<(), RuntimeError> {
    let inconsistent = |what: String| {
        let what = format!("block {number}: {what}");
        Err(RuntimeError::InconsistentProgram { what })
    };
    let (n_heads, n_kv_heads) = (attention.n_heads, attention.n_kv_heads);
    if n_kv_heads == 0 || n_heads == 0 || n_heads % n_kv_heads != 0 {
        return inconsistent(format!(
            "{n_heads} query heads over {n_kv_heads} key heads; expected a multiple"
        ));
    }
    if attention.head_dim == 0 || block.feed_forward.n_ff == 0 {
        return inconsistent("a head or the feed-forward has no width".to_owned());
    }
    let Some(rotary) = &attention.rotary else { return Ok(()) };
    let (n_dims, head_dim) = (rotary.n_dims, attention.head_dim);
    if n_dims == 0 || n_dims % 2 != 0 || n_dims > head_dim {
        return inconsistent(format!(
            "{n_dims} rotary dimensions; expected an even number up to the head's {head_dim}"
        ));
    }
    match factors {
        Some(factors) if factors.len() != n_dims as usize / 2 => Err(RuntimeError::WrongShape {
            tensor: ModelTensor::RopeFreqs,
            expected: vec![n_dims as usize / 2],
            found: vec![factors.len()],
        }),
        _ => Ok(()),
    }
}

/// One walk over the blocks.
struct Pass<'m, 'c, 'o> {
    model: &'m Model,
    cancellation: Cancellation<'c>,
    first_position: usize,
    /// Angles of the last block that needed some; blocks nearly always agree.
    rotary: Option<(&'m RotaryFrequencies, RotaryTable)>,
    observer: Option<&'o mut (dyn ActivationObserver + 'o)>,
}

impl<'m> Pass<'m, '_, '_> {
    fn run(&mut self, tokens: &[u32], cache: &mut KvCache) -> Result<Tensor, RuntimeError> {
        let model = self.model;
        let mut stream = model.backend.rows(&model.token_embedding, tokens)?;
        self.check_finite(&stream, || "the token embedding".to_owned())?;
        for (number, (block, weights)) in (0u32..).zip(model.decoder.blocks.iter().zip(&model.blocks)) {
            stream = self.attention(number, weights, &stream, cache)?;
            self.check_finite(&stream, || format!("block {number} attention"))?;
            stream = self.feed_forward(number, block, weights, &stream)?;
            self.check_finite(&stream, || format!("block {number} feed-forward"))?;
        }
        Ok(stream)
    }

    /// `stream + attn_output(attention(q, k, v))`.
    fn attention(
        &mut self,
        number: u32,
        weights: &'m BlockWeights,
        stream: &Tensor,
        cache: &mut KvCache,
    ) -> Result<Tensor, RuntimeError> {
        let backend = &self.model.backend;
        let attention = &weights.layer.attention;
        let normed = backend.norm(stream, &weights.attn_norm, weights.layer.attn_norm.epsilon)?;
        let inputs = [
            ModelTensor::AttnQ { block: number },
            ModelTensor::AttnK { block: number },
            ModelTensor::AttnV { block: number },
        ];
        self.observe(&inputs, &normed)?;
        let mut q = self.project(&normed, &weights.q)?;
        let mut k = self.project(&normed, &weights.k)?;
        let v = self.project(&normed, &weights.v)?;
        if let Some(frequencies) = &weights.rotary {
            let table = self.rotary_table(frequencies, stream.dim(0)?);
            let head_dim = attention.head_dim as usize;
            q = backend.rotate(&q, head_dim, table)?;
            k = backend.rotate(&k, head_dim, table)?;
        }
        let mixed = backend.attend(&q, &k, &v, cache.block_mut(number as usize), attention)?;
        self.observe(&[ModelTensor::AttnOutput { block: number }], &mixed)?;
        let update = self.project(&mixed, &weights.attn_output)?;
        Ok(backend.add(stream, &update)?)
    }

    /// `stream + down(activation(gate) * up)`.
    fn feed_forward(
        &mut self,
        number: u32,
        block: &Block,
        weights: &BlockWeights,
        stream: &Tensor,
    ) -> Result<Tensor, RuntimeError> {
        let backend = &self.model.backend;
        let normed = backend.norm(stream, &weights.ffn_norm, weights.layer.ffn_norm.epsilon)?;
        let inputs = [ModelTensor::FfnGate { block: number }, ModelTensor::FfnUp { block: number }];
        self.observe(&inputs, &normed)?;
        let gate = self.matmul(&normed, &weights.gate, None)?;
        let up = self.matmul(&normed, &weights.up, None)?;
        let gated = backend.gate(&gate, &up, block.feed_forward.activation)?;
        self.observe(&[ModelTensor::FfnDown { block: number }], &gated)?;
        let update = self.matmul(&gated, &weights.down, None)?;
        Ok(backend.add(stream, &update)?)
    }

    fn project(&self, inputs: &Tensor, projection: &Projection) -> Result<Tensor, RuntimeError> {
        self.matmul(inputs, &projection.weight, projection.bias.as_deref())
    }

    /// One of the products, which are nearly all of the work.
    fn matmul(&self, inputs: &Tensor, weight: &Weight, bias: Option<&[f32]>) -> Result<Tensor, RuntimeError> {
        self.cancellation.check()?;
        Ok(self.model.backend.matmul(inputs, weight, bias)?)
    }

    fn rotary_table(&mut self, frequencies: &'m RotaryFrequencies, n_tokens: usize) -> &RotaryTable {
        let first = self.first_position;
        let fresh = || (frequencies, frequencies.table(first, n_tokens));
        if self.rotary.as_ref().is_some_and(|(earlier, _)| *earlier != frequencies) {
            self.rotary = None;
        }
        &self.rotary.get_or_insert_with(fresh).1
    }

    fn observe(&mut self, tensors: &[ModelTensor], inputs: &Tensor) -> Result<(), RuntimeError> {
        observe(&*self.model.backend, observer::lend(&mut self.observer), tensors, inputs)
    }

    fn check_finite(&self, values: &Tensor, place: impl FnOnce() -> String) -> Result<(), RuntimeError> {
        check_finite(&*self.model.backend, values, self.first_position, place)
    }
}

fn observe(
    backend: &dyn Backend,
    observer: Option<&mut dyn ActivationObserver>,
    tensors: &[ModelTensor],
    inputs: &Tensor,
) -> Result<(), RuntimeError> {
    let Some(observer) = observer else { return Ok(()) };
    let n_columns = inputs.dim(1)?;
    Ok(backend.read(inputs, &mut |inputs| observer.observe(tensors, inputs, n_columns))?)
}

/// One cheap look at the residual stream after each step, so that an error can say where it began.
fn check_finite(
    backend: &dyn Backend,
    values: &Tensor,
    first_position: usize,
    place: impl FnOnce() -> String,
) -> Result<(), RuntimeError> {
    let n_columns = values.dim(1)?;
    let mut bad_row = None;
    backend.read(values, &mut |values| {
        bad_row = values.chunks_exact(n_columns).position(|row| {
            // No early exit within a row, so that the loop is vectorized.
            row.iter().fold(false, |bad, value| bad | !value.is_finite())
        });
    })?;
    match bad_row {
        None => Ok(()),
        Some(row) => Err(RuntimeError::NotFinite { place: place(), position: first_position + row }),
    }
}
