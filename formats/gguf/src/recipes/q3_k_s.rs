//! Q3_K_S: Q3_K, and Q6_K for the output.

use mc_encoding::blocks::{q3_k, q5_k};
use mc_encoding::codec::Codec;

use crate::recipes::recipe::Recipe;
use crate::recipes::tensor_position::{Part, TensorPosition};

/// The recipe.
pub static RECIPE: Recipe = Recipe { choose, ..Recipe::uniform("Q3_K_S", 11, &q3_k::CODEC) };

fn choose(position: &TensorPosition) -> Option<&'static Codec> {
    match position.part {
        Part::AttnOutput if position.has_eight_experts() => Some(&q5_k::CODEC),
        _ => None,
    }
}
