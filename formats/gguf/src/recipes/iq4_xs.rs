//! IQ4_XS: IQ4_XS, and Q5_K for small values and, without importance, the first down projections.

use mc_encoding::blocks::{iq4_xs, q5_k};
use mc_encoding::codec::Codec;

use crate::recipes::recipe::Recipe;
use crate::recipes::tensor_position::{Part, TensorPosition};

/// The recipe.
pub static RECIPE: Recipe = Recipe { choose, ..Recipe::uniform("IQ4_XS", 30, &iq4_xs::CODEC) };

fn choose(position: &TensorPosition) -> Option<&'static Codec> {
    match position.part {
        Part::Value if position.has_small_values() => Some(&q5_k::CODEC),
        Part::Down if !position.has_imatrix && position.is_in_first_eighth() => Some(&q5_k::CODEC),
        Part::AttnOutput if position.has_eight_experts() => Some(&q5_k::CODEC),
        _ => None,
    }
}
