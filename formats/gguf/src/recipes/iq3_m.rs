//! IQ3_M: IQ3_S, and Q4_K for values, attention outputs and the first down projections.

use mc_encoding::blocks::{iq3_s, q4_k, q5_k};
use mc_encoding::codec::Codec;

use crate::recipes::recipe::Recipe;
use crate::recipes::tensor_position::{Part, TensorPosition};

/// The recipe.
pub static RECIPE: Recipe = Recipe { choose, ..Recipe::uniform("IQ3_M", 27, &iq3_s::CODEC) };

fn choose(position: &TensorPosition) -> Option<&'static Codec> {
    match position.part {
        Part::Down
            if position.is_in_first_eighth() || position.has_eight_experts() && position.deserves_more() =>
        {
            Some(&q4_k::CODEC)
        }
        Part::AttnOutput if position.has_eight_experts() => Some(&q5_k::CODEC),
        Part::Value | Part::AttnOutput => Some(&q4_k::CODEC),
        _ => None,
    }
}
