//! Q4_K_M: Q4_K, and Q6_K for half of the value and down projections.

use mc_encoding::blocks::{q4_k, q5_k, q6_k};
use mc_encoding::codec::Codec;

use crate::recipes::recipe::Recipe;
use crate::recipes::tensor_position::{Part, TensorPosition};

/// The recipe.
pub static RECIPE: Recipe = Recipe { choose, ..Recipe::uniform("Q4_K_M", 15, &q4_k::CODEC) };

fn choose(position: &TensorPosition) -> Option<&'static Codec> {
    match position.part {
        Part::Value | Part::Down if position.deserves_more() => Some(&q6_k::CODEC),
        Part::AttnOutput if position.has_eight_experts() => Some(&q5_k::CODEC),
        _ => None,
    }
}
