//! Q5_K_M: Q5_K, and Q6_K for half of the value and down projections.

use mc_encoding::blocks::{q5_k, q6_k};
use mc_encoding::codec::Codec;

use crate::recipes::recipe::Recipe;
use crate::recipes::tensor_position::{Part, TensorPosition};

/// The recipe.
pub static RECIPE: Recipe = Recipe { choose, ..Recipe::uniform("Q5_K_M", 17, &q5_k::CODEC) };

fn choose(position: &TensorPosition) -> Option<&'static Codec> {
    match position.part {
        Part::Value | Part::Down if position.deserves_more() => Some(&q6_k::CODEC),
        _ => None,
    }
}
