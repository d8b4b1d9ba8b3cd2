//! The purposes of tensors, independent of any checkpoint or container.
//!
//! A family maps checkpoint names to purposes, a format maps purposes to the names in its files, and a recipe maps
//! purposes to codecs. So families and formats do not need to know each other.

use std::fmt;

/// Declares [`ModelTensor`]: a row for each purpose, with its word and, if it may be quantized, `matrix`.
macro_rules! model_tensors {
    (
        model { $($(#[$model_doc:meta])* $Model:ident = $model_role:literal $(, $model_matrix:ident)?;)* }
        block { $($(#[$block_doc:meta])* $Block:ident = $block_role:literal $(, $block_matrix:ident)?;)* }
    ) => {
        /// The purpose of one tensor of a model; `block` counts the layers from 0.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum ModelTensor {
            $($(#[$model_doc])* $Model,)*
            $($(#[$block_doc])* $Block {
                /// Layer number.
                block: u32,
            },)*
        }

        impl ModelTensor {
            /// The layer that the tensor belongs to, if any.
            pub fn block(self) -> Option<u32> {
                match self {
                    $(Self::$Model => None,)*
                    $(Self::$Block { block } => Some(block),)*
                }
            }

            /// The role without the layer, in the kebab-case words of the glossary (`attn-q`).
            pub fn role(self) -> &'static str {
                match self {
                    $(Self::$Model => $model_role,)*
                    $(Self::$Block { .. } => $block_role,)*
                }
            }

            /// The tensor with this role, in a layer or outside of all layers.
            pub fn of_role(role: &str, block: Option<u32>) -> Option<Self> {
                match (role, block) {
                    $(($model_role, None) => Some(Self::$Model),)*
                    $(($block_role, Some(block)) => Some(Self::$Block { block }),)*
                    _ => None,
                }
            }

            /// Returns true if the tensor is a matrix that a recipe may quantize. Norms, biases, factors, routers and
            /// convolution kernels never are.
            pub fn is_quantizable(self) -> bool {
                match self {
                    $(Self::$Model => model_tensors!(@is $($model_matrix)?),)*
                    $(Self::$Block { .. } => model_tensors!(@is $($block_matrix)?),)*
                }
            }
        }
    };
    (@is) => { false };
    (@is matrix) => { true };
}

model_tensors! {
    model {
        /// Rotary frequency factors `[head_dim / 2]`, when the scaling needs them.
        RopeFreqs = "rope-freqs";
        /// Rotary frequency factors `[head_dim / 2]` for contexts longer than the original training context.
        RopeFactorsLong = "rope-factors-long";
        /// Rotary frequency factors `[head_dim / 2]` for contexts up to the original training context.
        RopeFactorsShort = "rope-factors-short";
        /// Token embedding `[n_vocab, n_embd]`.
        TokenEmbedding = "token-embedding", matrix;
        /// Norm before the head `[n_embd]`.
        OutputNorm = "output-norm";
        /// Head `[n_vocab, n_embd]`; absent when tied to the token embedding.
        Output = "output", matrix;
    }
    block {
        /// Norm before attention `[n_embd]`.
        AttnNorm = "attn-norm";
        /// Query projection `[n_heads * head_dim, n_embd]`.
        AttnQ = "attn-q", matrix;
        /// Key projection `[n_kv_heads * head_dim, n_embd]`.
        AttnK = "attn-k", matrix;
        /// Value projection `[n_kv_heads * head_dim, n_embd]`.
        AttnV = "attn-v", matrix;
        /// Query, key and value projections in one matrix `[(n_heads + 2 * n_kv_heads) * head_dim, n_embd]`.
        AttnQkv = "attn-qkv", matrix;
        /// Attention output projection `[n_embd, n_heads * head_dim]`.
        AttnOutput = "attn-output", matrix;
        /// Bias of the query projection `[n_heads * head_dim]`.
        AttnQBias = "attn-q-bias";
        /// Bias of the key projection `[n_kv_heads * head_dim]`.
        AttnKBias = "attn-k-bias";
        /// Bias of the value projection `[n_kv_heads * head_dim]`.
        AttnVBias = "attn-v-bias";
        /// Bias of the attention output projection `[n_embd]`.
        AttnOutputBias = "attn-output-bias";
        /// Norm of the queries `[head_dim]`, or `[n_heads * head_dim]` across all heads.
        AttnQNorm = "attn-q-norm";
        /// Norm of the keys `[head_dim]`, or `[n_kv_heads * head_dim]` across all heads.
        AttnKNorm = "attn-k-norm";
        /// Norm of the attention output, before the residual addition `[n_embd]`.
        PostAttnNorm = "post-attn-norm";
        /// Norm before the feed-forward `[n_embd]`.
        FfnNorm = "ffn-norm";
        /// Gate projection `[n_ff, n_embd]`.
        FfnGate = "ffn-gate", matrix;
        /// Up projection `[n_ff, n_embd]`; `[2 * n_ff, n_embd]` if gate and up are one matrix.
        FfnUp = "ffn-up", matrix;
        /// Down projection `[n_embd, n_ff]`.
        FfnDown = "ffn-down", matrix;
        /// Router, which scores the experts for each token `[n_experts, n_embd]`.
        FfnGateInp = "ffn-gate-inp";
        /// Gate projections of all experts `[n_experts, n_ff, n_embd]`.
        FfnGateExps = "ffn-gate-exps", matrix;
        /// Up projections of all experts `[n_experts, n_ff, n_embd]`.
        FfnUpExps = "ffn-up-exps", matrix;
        /// Down projections of all experts `[n_experts, n_embd, n_ff]`.
        FfnDownExps = "ffn-down-exps", matrix;
        /// Norm of the feed-forward output, before the residual addition `[n_embd]`.
        PostFfnNorm = "post-ffn-norm";
        /// Kernel of a short convolution over time `[n_embd, kernel_len]`.
        ShortconvConv = "shortconv-conv";
        /// Input projection of a short convolution and its two gates `[3 * n_embd, n_embd]`.
        ShortconvInProj = "shortconv-in-proj", matrix;
        /// Output projection of a short convolution `[n_embd, n_embd]`.
        ShortconvOutProj = "shortconv-out-proj", matrix;
    }
}

impl ModelTensor {
    /// Parses the text form of a tensor.
    pub fn parse(text: &str) -> Option<Self> {
        let Some(rest) = text.strip_prefix("block ") else { return Self::of_role(text, None) };
        let (block, role) = rest.split_once(' ')?;
        Self::of_role(role, Some(block.parse().ok()?))
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
    fn roles_and_blocks_read_back() {
        for tensor in
            [ModelTensor::AttnQ { block: 3 }, ModelTensor::Output, ModelTensor::ShortconvConv { block: 0 }]
        {
            assert_eq!(ModelTensor::of_role(tensor.role(), tensor.block()), Some(tensor));
            assert_eq!(ModelTensor::parse(&tensor.to_string()), Some(tensor));
        }
        assert_eq!(ModelTensor::of_role("output", Some(1)), None);
        assert_eq!(ModelTensor::of_role("attn-q", None), None);
    }

    #[test]
    fn norms_and_biases_are_never_quantized() {
        assert!(!ModelTensor::AttnNorm { block: 0 }.is_quantizable());
        assert!(!ModelTensor::AttnQBias { block: 0 }.is_quantizable());
        assert!(ModelTensor::FfnDown { block: 0 }.is_quantizable());
    }

    #[test]
    fn projections_of_experts_are_quantized_and_small_tensors_are_not() {
        assert!(ModelTensor::FfnDownExps { block: 0 }.is_quantizable());
        assert!(ModelTensor::AttnQkv { block: 0 }.is_quantizable());
        assert!(ModelTensor::ShortconvInProj { block: 0 }.is_quantizable());
        assert!(!ModelTensor::FfnGateInp { block: 0 }.is_quantizable());
        assert!(!ModelTensor::ShortconvConv { block: 0 }.is_quantizable());
        assert!(!ModelTensor::RopeFactorsLong.is_quantizable());
    }
}
