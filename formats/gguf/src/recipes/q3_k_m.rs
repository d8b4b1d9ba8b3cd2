//! Q3_K_M: Q3_K, and Q4_K or Q5_K for values, attention outputs and down projections.

use mc_encoding::blocks::{q3_k, q4_k, q5_k};
use mc_encoding::codec::Codec;

use crate::recipes::recipe::Recipe;
use crate::recipes::tensor_position::{Part, TensorPosition};

/// The recipe.
pub static RECIPE: Recipe = Recipe { choose, ..Recipe::uniform("Q3_K_M", 12, &q3_k::CODEC) };

fn choose(position: &TensorPosition) -> Option<&'static Codec> {
    match position.part {
        Part::Value if position.i < 2 => Some(&q5_k::CODEC),
        Part::Down if position.depth < position.n / 16 => Some(&q5_k::CODEC),
        Part::AttnOutput if position.has_eight_experts() => Some(&q5_k::CODEC),
        Part::Value | Part::Down | Part::AttnOutput => Some(&q4_k::CODEC),
        _ => None,
    }
}
