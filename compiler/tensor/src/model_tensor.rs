//! What a tensor is *for*, in words that belong to no checkpoint and no container.
//!
//! A family maps checkpoint names to these; a format maps these to its wire names; a recipe maps these to codecs.
//! This is the hub that keeps families and formats from knowing each other.

use std::fmt;

/// The purpose of one tensor of a model; `block` counts the layers from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ModelTensor {
    /// Rotary frequency factors `[head_dim / 2]`, when the scaling needs them.
    RopeFreqs,
    /// Rotary frequency factors `[head_dim / 2]` for contexts beyond the one first trained on.
    RopeFactorsLong,
    /// Rotary frequency factors `[head_dim / 2]` for contexts up to the one first trained on.
    RopeFactorsShort,
    /// Token embedding `[n_vocab, n_embd]`.
    TokenEmbedding,
    /// Norm before the head `[n_embd]`.
    OutputNorm,
    /// Head `[n_vocab, n_embd]`; absent when tied to the token embedding.
    Output,
    /// Norm before attention `[n_embd]`.
    AttnNorm {
        /// Layer number.
        block: u32,
    },
    /// Query projection `[n_heads * head_dim, n_embd]`.
    AttnQ {
        /// Layer number.
        block: u32,
    },
    /// Key projection `[n_kv_heads * head_dim, n_embd]`.
    AttnK {
        /// Layer number.
        block: u32,
    },
    /// Value projection `[n_kv_heads * head_dim, n_embd]`.
    AttnV {
        /// Layer number.
        block: u32,
    },
    /// Query, key and value projections in one `[(n_heads + 2 * n_kv_heads) * head_dim, n_embd]`.
    AttnQkv {
        /// Layer number.
        block: u32,
    },
    /// Attention output projection `[n_embd, n_heads * head_dim]`.
    AttnOutput {
        /// Layer number.
        block: u32,
    },
    /// Bias of the query projection `[n_heads * head_dim]`.
    AttnQBias {
        /// Layer number.
        block: u32,
    },
    /// Bias of the key projection `[n_kv_heads * head_dim]`.
    AttnKBias {
        /// Layer number.
        block: u32,
    },
    /// Bias of the value projection `[n_kv_heads * head_dim]`.
    AttnVBias {
        /// Layer number.
        block: u32,
    },
    /// Bias of the attention output projection `[n_embd]`.
    AttnOutputBias {
        /// Layer number.
        block: u32,
    },
    /// Norm of the queries `[head_dim]`, or `[n_heads * head_dim]` over all heads together.
    AttnQNorm {
        /// Layer number.
        block: u32,
    },
    /// Norm of the keys `[head_dim]`, or `[n_kv_heads * head_dim]` over all heads together.
    AttnKNorm {
        /// Layer number.
        block: u32,
    },
    /// Norm of what attention adds `[n_embd]`.
    PostAttnNorm {
        /// Layer number.
        block: u32,
    },
    /// Norm before the feed-forward `[n_embd]`.
    FfnNorm {
        /// Layer number.
        block: u32,
    },
    /// Gate projection `[n_ff, n_embd]`.
    FfnGate {
        /// Layer number.
        block: u32,
    },
    /// Up projection `[n_ff, n_embd]`; `[2 * n_ff, n_embd]` where gate and up are one.
    FfnUp {
        /// Layer number.
        block: u32,
    },
    /// Down projection `[n_embd, n_ff]`.
    FfnDown {
        /// Layer number.
        block: u32,
    },
    /// Router, which scores the experts for each token `[n_experts, n_embd]`.
    FfnGateInp {
        /// Layer number.
        block: u32,
    },
    /// Gate projections of all experts `[n_experts, n_ff, n_embd]`.
    FfnGateExps {
        /// Layer number.
        block: u32,
    },
    /// Up projections of all experts `[n_experts, n_ff, n_embd]`.
    FfnUpExps {
        /// Layer number.
        block: u32,
    },
    /// Down projections of all experts `[n_experts, n_embd, n_ff]`.
    FfnDownExps {
        /// Layer number.
        block: u32,
    },
    /// Norm of what the feed-forward adds `[n_embd]`.
    PostFfnNorm {
        /// Layer number.
        block: u32,
    },
    /// Kernel of a short convolution over time `[n_embd, kernel_len]`.
    ShortconvConv {
        /// Layer number.
        block: u32,
    },
    /// Projection into a short convolution and its two gates `[3 * n_embd, n_embd]`.
    ShortconvInProj {
        /// Layer number.
        block: u32,
    },
    /// Projection out of a short convolution `[n_embd, n_embd]`.
    ShortconvOutProj {
        /// Layer number.
        block: u32,
    },
}

impl ModelTensor {
    /// The layer that the tensor belongs to, if any.
    pub fn block(self) -> Option<u32> {
        match self {
            Self::RopeFreqs
            | Self::RopeFactorsLong
            | Self::RopeFactorsShort
            | Self::TokenEmbedding
            | Self::OutputNorm
            | Self::Output => None,
            Self::AttnNorm { block }
            | Self::AttnQ { block }
            | Self::AttnK { block }
            | Self::AttnV { block }
            | Self::AttnQkv { block }
            | Self::AttnOutput { block }
            | Self::AttnQBias { block }
            | Self::AttnKBias { block }
            | Self::AttnVBias { block }
            | Self::AttnOutputBias { block }
            | Self::AttnQNorm { block }
            | Self::AttnKNorm { block }
            | Self::PostAttnNorm { block }
            | Self::FfnNorm { block }
            | Self::FfnGate { block }
            | Self::FfnUp { block }
            | Self::FfnDown { block }
            | Self::FfnGateInp { block }
            | Self::FfnGateExps { block }
            | Self::FfnUpExps { block }
            | Self::FfnDownExps { block }
            | Self::PostFfnNorm { block }
            | Self::ShortconvConv { block }
            | Self::ShortconvInProj { block }
            | Self::ShortconvOutProj { block } => Some(block),
        }
    }

    /// The role alone, in the glossary's kebab-case words (`attn-q`).
    pub fn role(self) -> &'static str {
        match self {
            Self::RopeFreqs => "rope-freqs",
            Self::RopeFactorsLong => "rope-factors-long",
            Self::RopeFactorsShort => "rope-factors-short",
            Self::TokenEmbedding => "token-embedding",
            Self::OutputNorm => "output-norm",
            Self::Output => "output",
            Self::AttnNorm { .. } => "attn-norm",
            Self::AttnQ { .. } => "attn-q",
            Self::AttnK { .. } => "attn-k",
            Self::AttnV { .. } => "attn-v",
            Self::AttnQkv { .. } => "attn-qkv",
            Self::AttnOutput { .. } => "attn-output",
            Self::AttnQBias { .. } => "attn-q-bias",
            Self::AttnKBias { .. } => "attn-k-bias",
            Self::AttnVBias { .. } => "attn-v-bias",
            Self::AttnOutputBias { .. } => "attn-output-bias",
            Self::AttnQNorm { .. } => "attn-q-norm",
            Self::AttnKNorm { .. } => "attn-k-norm",
            Self::PostAttnNorm { .. } => "post-attn-norm",
            Self::FfnNorm { .. } => "ffn-norm",
            Self::FfnGate { .. } => "ffn-gate",
            Self::FfnUp { .. } => "ffn-up",
            Self::FfnDown { .. } => "ffn-down",
            Self::FfnGateInp { .. } => "ffn-gate-inp",
            Self::FfnGateExps { .. } => "ffn-gate-exps",
            Self::FfnUpExps { .. } => "ffn-up-exps",
            Self::FfnDownExps { .. } => "ffn-down-exps",
            Self::PostFfnNorm { .. } => "post-ffn-norm",
            Self::ShortconvConv { .. } => "shortconv-conv",
            Self::ShortconvInProj { .. } => "shortconv-in-proj",
            Self::ShortconvOutProj { .. } => "shortconv-out-proj",
        }
    }

    /// Whether the tensor is a matrix that a recipe may quantize; norms, biases, factors,
    /// routers and convolution kernels never are.
    pub fn is_quantizable(self) -> bool {
        matches!(
            self,
            Self::TokenEmbedding
                | Self::Output
                | Self::AttnQ { .. }
                | Self::AttnK { .. }
                | Self::AttnV { .. }
                | Self::AttnQkv { .. }
                | Self::AttnOutput { .. }
                | Self::FfnGate { .. }
                | Self::FfnUp { .. }
                | Self::FfnDown { .. }
                | Self::FfnGateExps { .. }
                | Self::FfnUpExps { .. }
                | Self::FfnDownExps { .. }
                | Self::ShortconvInProj { .. }
                | Self::ShortconvOutProj { .. }
        )
    }
}

impl fmt::Display for ModelTensor {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.block() {
            Some(block) => write!(formatter, "block {block} {}", self.role()),
            None => formatter.write_str(self.role()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tensor_prints_its_block_and_role() {
        assert_eq!(ModelTensor::AttnQ { block: 3 }.to_string(), "block 3 attn-q");
        assert_eq!(ModelTensor::Output.to_string(), "output");
    }

    #[test]
    fn norms_and_biases_are_never_quantized() {
        assert!(!ModelTensor::AttnNorm { block: 0 }.is_quantizable());
        assert!(!ModelTensor::AttnQBias { block: 0 }.is_quantizable());
        assert!(ModelTensor::FfnDown { block: 0 }.is_quantizable());
    }

    #[test]
    fn experts_and_their_projections_are_quantized_but_not_what_is_small() {
        assert!(ModelTensor::FfnDownExps { block: 0 }.is_quantizable());
        assert!(ModelTensor::AttnQkv { block: 0 }.is_quantizable());
        assert!(ModelTensor::ShortconvInProj { block: 0 }.is_quantizable());
        assert!(!ModelTensor::FfnGateInp { block: 0 }.is_quantizable());
        assert!(!ModelTensor::ShortconvConv { block: 0 }.is_quantizable());
        assert!(!ModelTensor::RopeFactorsLong.is_quantizable());
    }
}
