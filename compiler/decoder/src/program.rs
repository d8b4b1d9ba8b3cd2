//! The program of a decoder-only transformer.
//!
//! ```text
//! x = embedding-scale * rows of token-embedding
//! for each block:
//!     x += residual-scale * post-attn-norm( mixer( attn-norm(x) ) )
//!     x += residual-scale * post-ffn-norm( feed-forward( ffn-norm(x) ) )
//! logits = soft-cap( output( output-norm(x) ) / logit-divisor )
//! ```
//!
//! A norm that a family does not have is absent, a factor that it does not use is 1. Tensors are not named here: each
//! step's weights are the `ModelTensor`s of its block and role, with norms as containers hold them (Gemma's checkpoints
//! store them less 1).
//!
//! A program is part of the key of whatever is measured by running it, in the text that serde gives it.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// A whole model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Decoder {
    /// The family's word for the architecture, as GGUF writes it (`llama`).
    pub architecture: String,
    /// Tokens the model was trained to attend over.
    pub context_length: u32,
    /// Width of the residual stream.
    pub n_embd: u32,
    /// Rows of the token embedding.
    pub n_vocab: u32,
    /// The layers, in order.
    pub blocks: Vec<Block>,
    /// The norm before the head.
    pub output_norm: Norm,
    /// Where the logits come from.
    pub head: Head,
    /// Factors outside the layers and on what they add.
    pub scales: Scales,
    /// Bends the logits: `cap * tanh(logits / cap)`.
    pub logit_soft_cap: Option<f32>,
}

/// Factors that some families put on the residual stream and the logits.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scales {
    /// On the rows of the token embedding.
    pub embedding: f32,
    /// On what each half of a layer adds.
    pub residual: f32,
    /// Divides the logits.
    pub logit_divisor: f32,
}

impl Scales {
    /// None of them.
    pub const ONE: Self = Self { embedding: 1.0, residual: 1.0, logit_divisor: 1.0 };
}

/// One layer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Block {
    /// Norm before the mixer.
    pub attn_norm: Option<Norm>,
    /// What mixes positions.
    pub mixer: Mixer,
    /// Norm of what the mixer adds.
    pub post_attn_norm: Option<Norm>,
    /// Norm before the feed-forward.
    pub ffn_norm: Option<Norm>,
    /// The feed-forward.
    pub feed_forward: FeedForward,
    /// Norm of what the feed-forward adds.
    pub post_ffn_norm: Option<Norm>,
}

impl Block {
    /// The layer's attention, if it has one.
    pub fn attention(&self) -> Option<&Attention> {
        match &self.mixer {
            Mixer::Attention(attention) => Some(attention),
            Mixer::ShortConvolution(_) => None,
        }
    }

    /// The layer's attention, to change it.
    pub fn attention_mut(&mut self) -> Option<&mut Attention> {
        match &mut self.mixer {
            Mixer::Attention(attention) => Some(attention),
            Mixer::ShortConvolution(_) => None,
        }
    }
}

/// What lets a position see earlier ones.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Mixer {
    /// Attention.
    Attention(Attention),
    /// A short convolution over time, with two gates.
    ShortConvolution(ShortConvolution),
}

/// `out( c * conv( b * x ) )`, with `b`, `c` and `x` from one projection and a kernel for each column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShortConvolution {
    /// Positions that the kernel sees.
    pub kernel_len: u32,
}

/// Root-mean-square norm: `x / sqrt(mean(x^2) + epsilon) * weight`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Norm {
    /// Added to the mean square.
    pub epsilon: f32,
}

/// Causal self-attention with grouped key and value heads.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Attention {
    /// Query heads.
    pub n_heads: u32,
    /// Key and value heads; divides `n_heads`.
    pub n_kv_heads: u32,
    /// Width of one head.
    pub head_dim: u32,
    /// Factor on the scores, usually `1 / sqrt(head_dim)`.
    pub scale: f32,
    /// Whether query, key and value projections are one matrix.
    pub is_fused: bool,
    /// Whether the q, k, v projections add a bias.
    pub qkv_bias: bool,
    /// Whether the output projection adds a bias.
    pub output_bias: bool,
    /// Norm of queries and keys before they turn.
    pub qk_norm: QkNorm,
    /// Rotary embedding of queries and keys; absent in layers without positions.
    pub rotary: Option<Rotary>,
    /// How many positions back a token sees, itself among them; all when absent.
    pub window: Option<u32>,
    /// Bends the scores: `cap * tanh(scores / cap)`.
    pub soft_cap: Option<f32>,
}

/// Norm of queries and keys.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum QkNorm {
    /// None.
    None,
    /// Each head by itself, with one weight of a head's width for all.
    PerHead(Norm),
    /// All heads together, with a weight for each row of the projection.
    Whole(Norm),
}

/// Rotary position embedding.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rotary {
    /// Leading dimensions of a head that turn.
    pub n_dims: u32,
    /// Base of the frequencies: `base^(-2i / n_dims)`.
    pub base: f32,
    /// How the frequencies are stretched for a longer context.
    pub scaling: RotaryScaling,
    /// Which two dimensions turn together.
    pub pairing: RotaryPairing,
}

/// Stretching of rotary frequencies.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum RotaryScaling {
    /// None.
    None,
    /// Every frequency divided by `factor`.
    Linear {
        /// The divisor.
        factor: f32,
    },
    /// Llama 3.1's rule: low frequencies divided by `factor`, high ones kept, a ramp between.
    Llama3 {
        /// The divisor of low frequencies.
        factor: f32,
        /// Wavelengths above `original_context / low_freq_factor` are divided.
        low_freq_factor: f32,
        /// Wavelengths below `original_context / high_freq_factor` are kept.
        high_freq_factor: f32,
        /// Context length before stretching.
        original_context: u32,
    },
    /// `YaRN`: as Llama 3's, with the ramp between two numbers of turns, and a factor on queries and keys.
    Yarn(Yarn),
    /// A divisor for each frequency; one set for contexts up to the original one and one beyond.
    LongRope {
        /// Context length before stretching.
        original_context: u32,
        /// Factor on queries and keys.
        attention_factor: f32,
        /// The divisors; absent where they come with the weights.
        factors: Option<LongRopeFactors>,
    },
}

/// The parameters of `YaRN`; absent ones have the reader's defaults (32 and 1 turns, `0.1 ln(factor) + 1`).
///
/// Source: Peng et al. 2023, arXiv:2309.00071.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Yarn {
    /// The divisor of low frequencies.
    pub factor: f32,
    /// Context length before stretching.
    pub original_context: u32,
    /// How much of the unstretched frequencies is mixed in.
    pub extrapolation_factor: Option<f32>,
    /// Factor on queries and keys.
    pub attention_factor: Option<f32>,
    /// Turns above which a frequency is kept.
    pub beta_fast: Option<f32>,
    /// Turns below which a frequency is divided.
    pub beta_slow: Option<f32>,
}

/// The divisors of `LongRope`, one per pair.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LongRopeFactors {
    /// Beyond the original context.
    pub long: Arc<[f32]>,
    /// Up to the original context.
    pub short: Arc<[f32]>,
}

/// Which two dimensions of a head form one rotating pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RotaryPairing {
    /// Dimension `i` with `i + n_dims / 2`: Hugging Face checkpoints.
    HalfSplit,
    /// Dimension `2i` with `2i + 1`: GGUF files of the Llama family, whose q and k rows are permuted for it.
    Interleaved,
}

/// Gated feed-forward: `down( activation(gate(x)) * up(x) )`, or a mixture of several.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct FeedForward {
    /// Width of the gate and up projections where there is one feed-forward for all tokens.
    pub n_ff: u32,
    /// Applied to the gate.
    pub activation: Activation,
    /// Whether gate and up projections are one matrix.
    pub is_fused: bool,
    /// Several feed-forwards, of which each token uses some.
    pub experts: Option<Experts>,
}

/// The most experts of a layer. A description is foreign input: an expert costs memory before any tensor is seen.
pub const MAX_EXPERTS: u32 = 1024;

/// The most experts of all layers together.
pub const MAX_EXPERTS_OF_MODEL: u64 = 40_000;

/// Feed-forwards of which a router chooses some for each token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Experts {
    /// How many there are.
    pub n_experts: u32,
    /// How many each token uses.
    pub n_used: u32,
    /// Width of the gate and up projections of one.
    pub n_ff: u32,
}

/// Non-linearity of the gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Activation {
    /// `x / (1 + exp(-x))`.
    Silu,
    /// `x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3)))`.
    GeluTanh,
}

/// Where the logits come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Head {
    /// The token embedding, used again.
    Tied,
    /// A matrix of its own (`ModelTensor::Output`).
    Untied,
}

impl Decoder {
    /// Bytes of the key-value cache for `n_ctx` tokens in 16-bit floats, where every layer keeps every position.
    ///
    /// Formula: `sum over blocks with attention of 2 * n_ctx * n_kv_heads * head_dim * 2 bytes`. A reader that drops what
    /// lies outside a window needs less.
    pub fn kv_cache_bytes(&self, n_ctx: u64) -> u64 {
        let bytes =
            |attention: &Attention| 2 * u64::from(attention.n_kv_heads) * u64::from(attention.head_dim) * 2;
        self.attentions().map(bytes).sum::<u64>() * n_ctx
    }

    /// The attention of each layer that has one.
    pub fn attentions(&self) -> impl Iterator<Item = &Attention> {
        self.blocks.iter().filter_map(Block::attention)
    }

    /// The same program for weights whose rotary pairs are laid out as `pairing` says.
    #[must_use]
    pub fn with_pairing(mut self, pairing: RotaryPairing) -> Self {
        for attention in self.blocks.iter_mut().filter_map(Block::attention_mut) {
            if let Some(rotary) = &mut attention.rotary {
                rotary.pairing = pairing;
            }
        }
        self
    }
}
