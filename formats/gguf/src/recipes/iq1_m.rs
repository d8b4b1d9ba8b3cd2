//! IQ1_M: IQ1_M, and more for values, attention outputs and the first down projections.

use mc_encoding::blocks::{iq1_m, iq2_xxs, q2_k, q5_k};
use mc_encoding::codec::Codec;

use crate::recipes::low_bits;
use crate::recipes::recipe::{Recipe, as_chosen};
use crate::recipes::tensor_position::TensorPosition;

/// The recipe.
pub static RECIPE: Recipe = Recipe {
    choose,
    head: &q5_k::CODEC,
    embedding: &q2_k::CODEC,
    lift: as_chosen,
    ..Recipe::uniform("IQ1_M", 31, &iq1_m::CODEC)
};

fn choose(position: &TensorPosition) -> Option<&'static Codec> {
    low_bits::choose(position, &q2_k::CODEC, Some(&iq2_xxs::CODEC))
}
