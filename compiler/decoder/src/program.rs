//! The program of a decoder-only transformer.
//!
//! ```text
//! x = rows of token-embedding
//! for each block:
//!     x += attn-output( attention( rotary(attn-q(n)), rotary(attn-k(n)), attn-v(n) ) )   where n = norm(x, attn-norm)
//!     x += ffn-down( activation(ffn-gate(n)) * ffn-up(n) )                               where n = norm(x, ffn-norm)
//! logits = output( norm(x, output-norm) )
//! ```
//!
//! Tensors are not named here: each step's weights are the `ModelTensor`s of its block and role.

/// A whole model.
#[derive(Clone, Debug, PartialEq)]
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
}

/// One layer.
#[derive(Clone, Debug, PartialEq)]
pub struct Block {
    /// Norm before attention.
    pub attn_norm: Norm,
    /// Self-attention.
    pub attention: Attention,
    /// Norm before the feed-forward.
    pub ffn_norm: Norm,
    /// The feed-forward.
    pub feed_forward: FeedForward,
}

/// Root-mean-square norm: `x / sqrt(mean(x^2) + epsilon) * weight`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Norm {
    /// Added to the mean square.
    pub epsilon: f32,
}

/// Causal self-attention with grouped key and value heads.
#[derive(Clone, Debug, PartialEq)]
pub struct Attention {
    /// Query heads.
    pub n_heads: u32,
    /// Key and value heads; divides `n_heads`.
    pub n_kv_heads: u32,
    /// Width of one head.
    pub head_dim: u32,
    /// Factor on the scores, usually `1 / sqrt(head_dim)`.
    pub scale: f32,
    /// Whether the q, k, v projections add a bias.
    pub qkv_bias: bool,
    /// Whether the output projection adds a bias.
    pub output_bias: bool,
    /// Rotary embedding of queries and keys; absent in layers without positions.
    pub rotary: Option<Rotary>,
}

/// Rotary position embedding.
#[derive(Clone, Debug, PartialEq)]
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
#[derive(Clone, Copy, Debug, PartialEq)]
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
}

/// Which two dimensions of a head form one rotating pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RotaryPairing {
    /// Dimension `i` with `i + n_dims / 2`: Hugging Face checkpoints.
    HalfSplit,
    /// Dimension `2i` with `2i + 1`: GGUF files of the Llama family, whose q and k rows are permuted for it.
    Interleaved,
}

/// Gated feed-forward.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FeedForward {
    /// Width of the gate and up projections.
    pub n_ff: u32,
    /// Applied to the gate.
    pub activation: Activation,
}

/// Non-linearity of the gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// `x / (1 + exp(-x))`.
    Silu,
}

/// Where the logits come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Head {
    /// The token embedding, used again.
    Tied,
    /// A matrix of its own (`ModelTensor::Output`).
    Untied,
}

impl Decoder {
    /// Bytes of the key-value cache for `n_ctx` tokens in 16-bit floats.
    ///
    /// Formula: `sum over blocks of 2 * n_ctx * n_kv_heads * head_dim * 2 bytes`.
    pub fn kv_cache_bytes(&self, n_ctx: u64) -> u64 {
        let per_token: u64 = self
            .blocks
            .iter()
            .map(|block| 2 * u64::from(block.attention.n_kv_heads) * u64::from(block.attention.head_dim) * 2)
            .sum();
        per_token * n_ctx
    }

    /// The same program for weights whose rotary pairs are laid out as `pairing` says.
    #[must_use]
    pub fn with_pairing(mut self, pairing: RotaryPairing) -> Self {
        for block in &mut self.blocks {
            if let Some(rotary) = &mut block.attention.rotary {
                rotary.pairing = pairing;
            }
        }
        self
    }
}
