//! Rules shared by the recipes below three bits: values, the first down projections and attention outputs keep more
//! bits.
//!
//! The recipes differ only in the codecs of those tensors, so each recipe is a call of `choose`. This module is not a
//! recipe itself.

use mc_encoding::blocks::{q4_k, q5_k};
use mc_encoding::codec::Codec;

use crate::recipes::tensor_position::{Part, TensorPosition};

/// The codec of a tensor, if it is not the recipe's default.
///
/// * `more`: for values, and for the first eighth of the down projections
/// * `attn_output`: for attention outputs, if not the default
pub(crate) fn choose(
    position: &TensorPosition,
    more: &'static Codec,
    attn_output: Option<&'static Codec>,
) -> Option<&'static Codec> {
    match position.part {
        Part::Value if position.has_small_values() || position.model.n_experts >= 4 => Some(&q4_k::CODEC),
        Part::Value => Some(more),
        Part::Key if position.has_eight_experts() => Some(&q4_k::CODEC),
        // By count and not by layer as elsewhere, as llama.cpp does here.
        Part::Down if position.i < position.n / 8 => Some(more),
        Part::AttnOutput if position.has_eight_experts() => Some(&q5_k::CODEC),
        Part::AttnOutput => attn_output,
        _ => None,
    }
}
