//! IQ2_S: IQ2_XS, and IQ3_S for values, attention outputs and the first down projections.

use mc_encoding::blocks::{iq2_xs, iq3_s, q5_k};
use mc_encoding::codec::Codec;

use crate::recipes::low_bits;
use crate::recipes::recipe::{Recipe, as_chosen};
use crate::recipes::tensor_position::TensorPosition;

/// The recipe.
pub static RECIPE: Recipe = Recipe {
    choose,
    head: &q5_k::CODEC,
    embedding: &iq3_s::CODEC,
    lift: as_chosen,
    ..Recipe::uniform("IQ2_S", 28, &iq2_xs::CODEC)
};

fn choose(position: &TensorPosition) -> Option<&'static Codec> {
    low_bits::choose(position, &iq3_s::CODEC, Some(&iq3_s::CODEC))
}
