//! What the recipes below three bits share: values, the first down projections and attention outputs keep more.
//!
//! Their two differences are the codec that those get, so each recipe is a call of [`choose`]. No recipe itself.

use mc_encoding::blocks::{q4_k, q5_k};
use mc_encoding::codec::Codec;

use crate::recipes::tensor_position::{Part, TensorPosition};

/// The codec of a tensor, where it is not the recipe's default.
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
        // Counted, and not by layer as elsewhere: llama.cpp does so here.
        Part::Down if position.i < position.n / 8 => Some(more),
        Part::AttnOutput if position.has_eight_experts() => Some(&q5_k::CODEC),
        Part::AttnOutput => attn_output,
        _ => None,
    }
}
