//! Q2_K_S: Q2_K, weighted by importance, and Q4_K for small values and the first down projections.

use mc_encoding::blocks::{q2_k, q4_k};
use mc_encoding::codec::Codec;

use crate::recipes::recipe::Recipe;
use crate::recipes::tensor_position::{Part, TensorPosition};

/// The recipe.
pub static RECIPE: Recipe =
    Recipe { choose, expects_imatrix: &[&q2_k::CODEC], ..Recipe::uniform("Q2_K_S", 21, &q2_k::CODEC) };

fn choose(position: &TensorPosition) -> Option<&'static Codec> {
    match position.part {
        Part::Value if position.has_small_values() => Some(&q4_k::CODEC),
        Part::Down if position.is_in_first_eighth() => Some(&q4_k::CODEC),
        _ => None,
    }
}
