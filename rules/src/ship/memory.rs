//! Estimates the memory that a model needs on a device.

use mc_decoder::kind::Site;
use mc_decoder::program::{Block, Decoder};
use mc_digest::content_hash::ContentHash;

/// Number of tokens that llama.cpp computes at once.
const N_BATCH: u64 = 512;

/// Memory of a model, in bytes.
#[derive(Clone, ContentHash, Copy, Debug, Eq, PartialEq)]
#[content("memory-estimate")]
pub(crate) struct MemoryEstimate {
    /// The weights.
    #[content("weights")]
    pub(crate) weights: u64,
    /// Keys and values of the context, in 16 bits.
    #[content("kv-cache")]
    pub(crate) kv_cache: u64,
    /// Buffers for the computation of one batch.
    #[content("compute")]
    pub(crate) compute: u64,
}

impl MemoryEstimate {
    /// Returns the sum.
    pub(crate) fn total(&self) -> u64 {
        self.weights + self.kv_cache + self.compute
    }
}

/// Estimates the memory for `n_ctx` tokens of context.
///
/// Formula: `compute = 4 bytes * (batch * (widest layer + 3 * n_embd) + batch * n_ctx * n_heads + n_vocab)`, with
/// `batch = min(512, n_ctx)` and `widest layer = max over layers of (2 * n_ff, (n_heads + 2 * n_kv_heads) * head_dim)`, `n_ff` of all experts
/// that a token uses: the activations of one layer, its attention scores, and one row of logits.
pub(crate) fn estimate(decoder: &Decoder, n_tensor_bytes: u64, n_ctx: u64) -> MemoryEstimate {
    let batch = N_BATCH.min(n_ctx);
    let layer = |block: &Block| {
        let site = Site { block: 0, n_embd: decoder.n_embd };
        block.mixer.widest(site).max(block.feed_forward.widest(site))
    };
    let widest = decoder.blocks.iter().map(layer).max().unwrap_or(0);
    let n_heads = decoder.attentions().map(|attention| u64::from(attention.n_heads)).max().unwrap_or(0);
    let elements = batch * (widest + 3 * u64::from(decoder.n_embd))
        + batch * n_ctx * n_heads
        + u64::from(decoder.n_vocab);
    MemoryEstimate { weights: n_tensor_bytes, kv_cache: decoder.kv_cache_bytes(n_ctx), compute: 4 * elements }
}
