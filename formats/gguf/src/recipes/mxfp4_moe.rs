//! MXFP4_MOE: MXFP4 for stacked experts, and Q8_0 for all else.

use mc_encoding::blocks::{mxfp4, q8_0};
use mc_encoding::codec::Codec;

use crate::recipes::recipe::{Recipe, as_chosen};
use crate::recipes::tensor_position::TensorPosition;

/// The recipe.
pub static RECIPE: Recipe = Recipe {
    choose,
    head: &q8_0::CODEC,
    embedding: &q8_0::CODEC,
    lift: as_chosen,
    ..Recipe::uniform("MXFP4_MOE", 38, &mxfp4::CODEC)
};

fn choose(position: &TensorPosition) -> Option<&'static Codec> {
    (!position.is_stacked).then_some(&q8_0::CODEC)
}
