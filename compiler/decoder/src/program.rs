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
//! A program is part of the key of whatever is measured by running it, in the text that serde gives it, and of the
//! containers that describe it, by its content hash. What is absent is in neither, so a new option keeps the keys of the
//! models that do not have it; a field that is renamed in Rust keeps its name for serde and for the hash.

use std::sync::Arc;

use mc_digest::content_hash::ContentHash;
use serde::{Deserialize, Serialize};

/// A whole model.
#[derive(Clone, ContentHash, Debug, Deserialize, PartialEq, Serialize)]
#[content("decoder")]
pub struct Decoder {
    /// The family's word for the architecture, as GGUF writes it (`llama`).
    #[content("architecture")]
    pub architecture: String,
    /// Tokens the model was trained to attend over.
    #[content("context-length")]
    pub context_length: u32,
    /// Width of the residual stream.
    #[content("n-embd")]
    pub n_embd: u32,
    /// Rows of the token embedding.
    #[content("n-vocab")]
    pub n_vocab: u32,
    /// The layers, in order.
    #[content("blocks")]
    pub blocks: Vec<Block>,
    /// The norm before the head.
    #[content("output-norm")]
    pub output_norm: Norm,
    /// Where the logits come from.
    #[content("head")]
    pub head: Head,
    /// Factors outside the layers and on what they add.
    #[content("scales")]
    pub scales: Scales,
    /// Bends the logits: `cap * tanh(logits / cap)`.
    #[content("logit-soft-cap")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logit_soft_cap: Option<f32>,
}

/// Factors that some families put on the residual stream and the logits.
#[derive(Clone, ContentHash, Copy, Debug, Deserialize, PartialEq, Serialize)]
#[content("scales")]
pub struct Scales {
    /// On the rows of the token embedding.
    #[content("embedding")]
    pub embedding: f32,
    /// On what each half of a layer adds.
    #[content("residual")]
    pub residual: f32,
    /// Divides the logits.
    #[content("logit-divisor")]
    pub logit_divisor: f32,
}

impl Scales {
    /// None of them.
    pub const ONE: Self = Self { embedding: 1.0, residual: 1.0, logit_divisor: 1.0 };
}

/// One layer.
#[derive(Clone, ContentHash, Debug, Deserialize, PartialEq, Serialize)]
#[content("block")]
pub struct Block {
    /// Norm before the mixer.
    #[content("attn-norm")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attn_norm: Option<Norm>,
    /// What mixes positions.
    #[content("mixer")]
    pub mixer: Mixer,
    /// Norm of what the mixer adds.
    #[content("post-attn-norm")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub post_attn_norm: Option<Norm>,
    /// Norm before the feed-forward.
    #[content("ffn-norm")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ffn_norm: Option<Norm>,
    /// The feed-forward.
    #[content("feed-forward")]
    pub feed_forward: FeedForward,
    /// Norm of what the feed-forward adds.
    #[content("post-ffn-norm")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
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
#[derive(Clone, ContentHash, Debug, Deserialize, PartialEq, Serialize)]
pub enum Mixer {
    /// Attention.
    #[content("attention")]
    Attention(#[content("of")] Attention),
    /// A short convolution over time, with two gates.
    #[content("short-convolution")]
    ShortConvolution(#[content("of")] ShortConvolution),
}

/// `out( c * conv( b * x ) )`, with `b`, `c` and `x` from one projection and a kernel for each column.
#[derive(Clone, ContentHash, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[content("short-convolution")]
pub struct ShortConvolution {
    /// Positions that the kernel sees.
    #[content("kernel-len")]
    pub kernel_len: u32,
}

/// Root-mean-square norm: `x / sqrt(mean(x^2) + epsilon) * weight`.
#[derive(Clone, ContentHash, Copy, Debug, Deserialize, PartialEq, Serialize)]
#[content("norm")]
pub struct Norm {
    /// Added to the mean square.
    #[content("epsilon")]
    pub epsilon: f32,
}

/// Causal self-attention with grouped key and value heads.
#[derive(Clone, ContentHash, Debug, Deserialize, PartialEq, Serialize)]
#[content("attention")]
pub struct Attention {
    /// Query heads.
    #[content("n-heads")]
    pub n_heads: u32,
    /// Key and value heads; divides `n_heads`.
    #[content("n-kv-heads")]
    pub n_kv_heads: u32,
    /// Width of one head.
    #[content("head-dim")]
    pub head_dim: u32,
    /// Factor on the scores, usually `1 / sqrt(head_dim)`.
    #[content("scale")]
    pub scale: f32,
    /// Whether query, key and value projections are one matrix.
    #[content("is-fused")]
    pub is_fused: bool,
    /// Whether the q, k, v projections add a bias.
    #[content("qkv-bias")]
    pub qkv_bias: bool,
    /// Whether the output projection adds a bias.
    #[content("output-bias")]
    pub output_bias: bool,
    /// Norm of queries and keys before they turn.
    #[content("qk-norm")]
    pub qk_norm: QkNorm,
    /// Rotary embedding of queries and keys; absent in layers without positions.
    #[content("rotary")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotary: Option<Rotary>,
    /// How many positions back a token sees, itself among them; all when absent.
    #[content("window")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<u32>,
    /// Bends the scores: `cap * tanh(scores / cap)`.
    #[content("soft-cap")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub soft_cap: Option<f32>,
}

/// Norm of queries and keys.
#[derive(Clone, ContentHash, Copy, Debug, Deserialize, PartialEq, Serialize)]
pub enum QkNorm {
    /// None.
    #[content("none")]
    None,
    /// Each head by itself, with one weight of a head's width for all.
    #[content("per-head")]
    PerHead(#[content("of")] Norm),
    /// All heads together, with a weight for each row of the projection.
    #[content("whole")]
    Whole(#[content("of")] Norm),
}

/// Rotary position embedding.
#[derive(Clone, ContentHash, Debug, Deserialize, PartialEq, Serialize)]
#[content("rotary")]
pub struct Rotary {
    /// Leading dimensions of a head that turn.
    #[content("n-dims")]
    pub n_dims: u32,
    /// Base of the frequencies: `base^(-2i / n_dims)`.
    #[content("base")]
    pub base: f32,
    /// How the frequencies are stretched for a longer context.
    #[content("scaling")]
    pub scaling: RotaryScaling,
    /// Which two dimensions turn together.
    #[content("pairing")]
    pub pairing: RotaryPairing,
}

/// Stretching of rotary frequencies.
#[derive(Clone, ContentHash, Debug, Deserialize, PartialEq, Serialize)]
pub enum RotaryScaling {
    /// None.
    #[content("none")]
    None,
    /// Every frequency divided by `factor`.
    #[content("linear")]
    Linear {
        /// The divisor.
        #[content("factor")]
        factor: f32,
    },
    /// Llama 3.1's rule: low frequencies divided by `factor`, high ones kept, a ramp between.
    #[content("llama3")]
    Llama3 {
        /// The divisor of low frequencies.
        #[content("factor")]
        factor: f32,
        /// Wavelengths above `original_context / low_freq_factor` are divided.
        #[content("low-freq-factor")]
        low_freq_factor: f32,
        /// Wavelengths below `original_context / high_freq_factor` are kept.
        #[content("high-freq-factor")]
        high_freq_factor: f32,
        /// Context length before stretching.
        #[content("original-context")]
        original_context: u32,
    },
    /// `YaRN`: as Llama 3's, with the ramp between two numbers of turns, and a factor on queries and keys.
    #[content("yarn")]
    Yarn(#[content("of")] Yarn),
    /// A divisor for each frequency; one set for contexts up to the original one and one beyond.
    #[content("long-rope")]
    LongRope {
        /// Context length before stretching.
        #[content("original-context")]
        original_context: u32,
        /// Factor on queries and keys.
        #[content("attention-factor")]
        attention_factor: f32,
        /// The divisors; absent where they come with the weights.
        #[content("factors")]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        factors: Option<LongRopeFactors>,
    },
}

/// The parameters of `YaRN`; absent ones have the reader's defaults (32 and 1 turns, `0.1 ln(factor) + 1`).
///
/// Source: Peng et al. 2023, arXiv:2309.00071.
#[derive(Clone, ContentHash, Copy, Debug, Deserialize, PartialEq, Serialize)]
#[content("yarn")]
pub struct Yarn {
    /// The divisor of low frequencies.
    #[content("factor")]
    pub factor: f32,
    /// Context length before stretching.
    #[content("original-context")]
    pub original_context: u32,
    /// How much of the unstretched frequencies is mixed in.
    #[content("extrapolation-factor")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extrapolation_factor: Option<f32>,
    /// Factor on queries and keys.
    #[content("attention-factor")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attention_factor: Option<f32>,
    /// Turns above which a frequency is kept.
    #[content("beta-fast")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub beta_fast: Option<f32>,
    /// Turns below which a frequency is divided.
    #[content("beta-slow")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub beta_slow: Option<f32>,
}

/// The divisors of `LongRope`, one per pair.
#[derive(Clone, ContentHash, Debug, Deserialize, PartialEq, Serialize)]
#[content("long-rope-factors")]
pub struct LongRopeFactors {
    /// Beyond the original context.
    #[content("long")]
    pub long: Arc<[f32]>,
    /// Up to the original context.
    #[content("short")]
    pub short: Arc<[f32]>,
}

/// Which two dimensions of a head form one rotating pair.
#[derive(Clone, ContentHash, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum RotaryPairing {
    /// Dimension `i` with `i + n_dims / 2`: Hugging Face checkpoints.
    #[content("half-split")]
    HalfSplit,
    /// Dimension `2i` with `2i + 1`: GGUF files of the Llama family, whose q and k rows are permuted for it.
    #[content("interleaved")]
    Interleaved,
}

/// Gated feed-forward: `down( activation(gate(x)) * up(x) )`, or a mixture of several.
#[derive(Clone, ContentHash, Copy, Debug, Deserialize, PartialEq, Serialize)]
#[content("feed-forward")]
pub struct FeedForward {
    /// Width of the gate and up projections where there is one feed-forward for all tokens.
    #[content("n-ff")]
    pub n_ff: u32,
    /// Applied to the gate.
    #[content("activation")]
    pub activation: Activation,
    /// Whether gate and up projections are one matrix.
    #[content("is-fused")]
    pub is_fused: bool,
    /// Several feed-forwards, of which each token uses some.
    #[content("experts")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub experts: Option<Experts>,
}

/// The most experts of a layer. A description is foreign input: an expert costs memory before any tensor is seen.
pub const MAX_EXPERTS: u32 = 1024;

/// The most experts of all layers together.
pub const MAX_EXPERTS_OF_MODEL: u64 = 40_000;

/// Feed-forwards of which a router chooses some for each token.
#[derive(Clone, ContentHash, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[content("experts")]
pub struct Experts {
    /// How many there are.
    #[content("n-experts")]
    pub n_experts: u32,
    /// How many each token uses.
    #[content("n-used")]
    pub n_used: u32,
    /// Width of the gate and up projections of one.
    #[content("n-ff")]
    pub n_ff: u32,
}

/// Non-linearity of the gate.
#[derive(Clone, ContentHash, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum Activation {
    /// `x / (1 + exp(-x))`.
    #[content("silu")]
    Silu,
    /// `x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3)))`.
    #[content("gelu-tanh")]
    GeluTanh,
}

/// Where the logits come from.
#[derive(Clone, ContentHash, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum Head {
    /// The token embedding, used again.
    #[content("tied")]
    Tied,
    /// A matrix of its own (`ModelTensor::Output`).
    #[content("untied")]
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
