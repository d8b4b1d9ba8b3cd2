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
    /// Up projection `[n_ff, n_embd]`.
    FfnUp {
        /// Layer number.
        block: u32,
    },
    /// Down projection `[n_embd, n_ff]`.
    FfnDown {
        /// Layer number.
        block: u32,
    },
}

impl ModelTensor {
    /// The layer that the tensor belongs to, if any.
    pub fn block(self) -> Option<u32> {
        match self {
            Self::RopeFreqs | Self::TokenEmbedding | Self::OutputNorm | Self::Output => None,
            Self::AttnNorm { block }
            | Self::AttnQ { block }
            | Self::AttnK { block }
            | Self::AttnV { block }
            | Self::AttnOutput { block }
            | Self::AttnQBias { block }
            | Self::AttnKBias { block }
            | Self::AttnVBias { block }
            | Self::AttnOutputBias { block }
            | Self::FfnNorm { block }
            | Self::FfnGate { block }
            | Self::FfnUp { block }
            | Self::FfnDown { block } => Some(block),
        }
    }

    /// The role alone, in the glossary's kebab-case words (`attn-q`).
    pub fn role(self) -> &'static str {
        match self {
            Self::RopeFreqs => "rope-freqs",
            Self::TokenEmbedding => "token-embedding",
            Self::OutputNorm => "output-norm",
            Self::Output => "output",
            Self::AttnNorm { .. } => "attn-norm",
            Self::AttnQ { .. } => "attn-q",
            Self::AttnK { .. } => "attn-k",
            Self::AttnV { .. } => "attn-v",
            Self::AttnOutput { .. } => "attn-output",
            Self::AttnQBias { .. } => "attn-q-bias",
            Self::AttnKBias { .. } => "attn-k-bias",
            Self::AttnVBias { .. } => "attn-v-bias",
            Self::AttnOutputBias { .. } => "attn-output-bias",
            Self::FfnNorm { .. } => "ffn-norm",
            Self::FfnGate { .. } => "ffn-gate",
            Self::FfnUp { .. } => "ffn-up",
            Self::FfnDown { .. } => "ffn-down",
        }
    }

    /// Whether the tensor is a matrix that a recipe may quantize; norms, biases and factors never are.
    pub fn is_quantizable(self) -> bool {
        matches!(
            self,
            Self::TokenEmbedding
                | Self::Output
                | Self::AttnQ { .. }
                | Self::AttnK { .. }
                | Self::AttnV { .. }
                | Self::AttnOutput { .. }
                | Self::FfnGate { .. }
                | Self::FfnUp { .. }
                | Self::FfnDown { .. }
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
}
