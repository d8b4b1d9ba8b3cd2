//! IQ3_S: IQ3_S, and Q4_K for small values.

use mc_encoding::blocks::{iq3_s, q4_k, q5_k};
use mc_encoding::codec::Codec;

use crate::recipes::recipe::Recipe;
use crate::recipes::tensor_position::{Part, TensorPosition};

/// The recipe.
pub static RECIPE: Recipe = Recipe { choose, ..Recipe::uniform("IQ3_S", 26, &iq3_s::CODEC) };

fn choose(position: &TensorPosition) -> Option<&'static Codec> {
    match position.part {
        Part::Value if position.has_small_values() => Some(&q4_k::CODEC),
        Part::AttnOutput if position.has_eight_experts() => Some(&q5_k::CODEC),
        _ => None,
    }
}
