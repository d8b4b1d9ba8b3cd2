//! Q4_K_S: Q4_K, and Q5_K for the first value and down projections.

use mc_encoding::blocks::{q4_k, q5_k};
use mc_encoding::codec::Codec;

use crate::recipes::recipe::Recipe;
use crate::recipes::tensor_position::{Part, TensorPosition};

/// The recipe.
pub static RECIPE: Recipe = Recipe { choose, ..Recipe::uniform("Q4_K_S", 14, &q4_k::CODEC) };

fn choose(position: &TensorPosition) -> Option<&'static Codec> {
    match position.part {
        Part::Value if position.i < 4 => Some(&q5_k::CODEC),
        Part::Down if position.is_in_first_eighth() => Some(&q5_k::CODEC),
        Part::AttnOutput if position.has_eight_experts() => Some(&q5_k::CODEC),
        _ => None,
    }
}
