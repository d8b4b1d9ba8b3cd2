//! IQ3_XXS: IQ3_XXS, less for queries and keys, and more for values, attention outputs and, without importance, down projections.

use mc_encoding::blocks::{iq2_s, iq3_s, iq3_xxs, q3_k, q4_k, q5_k};
use mc_encoding::codec::Codec;

use crate::recipes::recipe::Recipe;
use crate::recipes::tensor_position::{Part, TensorPosition};

/// The recipe.
pub static RECIPE: Recipe = Recipe {
    choose,
    head: &q5_k::CODEC,
    embedding: &iq3_s::CODEC,
    ..Recipe::uniform("IQ3_XXS", 23, &iq3_xxs::CODEC)
};

fn choose(position: &TensorPosition) -> Option<&'static Codec> {
    match position.part {
        Part::Query | Part::Key => Some(&iq2_s::CODEC),
        Part::Value if position.has_small_values() => Some(&q4_k::CODEC),
        Part::Value if !position.has_imatrix => Some(&iq3_s::CODEC),
        Part::Down if !position.has_imatrix && position.is_in_first_eighth() => Some(&q4_k::CODEC),
        Part::Down if !position.has_imatrix => Some(&q3_k::CODEC),
        Part::AttnOutput if position.has_eight_experts() => Some(&q5_k::CODEC),
        Part::AttnOutput => Some(&iq3_s::CODEC),
        _ => None,
    }
}
