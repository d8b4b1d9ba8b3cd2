//! Q2_K: Q2_K, and Q3_K or Q4_K where errors matter most: values, attention outputs and down projections.

use mc_encoding::blocks::{q2_k, q3_k, q4_k, q5_k};
use mc_encoding::codec::Codec;

use crate::recipes::recipe::Recipe;
use crate::recipes::tensor_position::{Part, TensorPosition};

/// The recipe.
pub static RECIPE: Recipe = Recipe { choose, ..Recipe::uniform("Q2_K", 10, &q2_k::CODEC) };

fn choose(position: &TensorPosition) -> Option<&'static Codec> {
    match position.part {
        Part::Value if position.has_small_values() => Some(&q4_k::CODEC),
        Part::Value | Part::Down => Some(&q3_k::CODEC),
        Part::AttnOutput if position.has_eight_experts() => Some(&q5_k::CODEC),
        Part::AttnOutput => Some(&q3_k::CODEC),
        _ => None,
    }
}
