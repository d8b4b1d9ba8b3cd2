//! IQ2_S: IQ2_XS, and IQ3_S for values, attention outputs and the first down projections.

use crate::codec::Codec;
use crate::recipes::{Recipe, as_chosen};
use crate::seat::Seat;
use crate::{iq2_xs, iq3_s, low_bits, q5_k};

/// The recipe.
pub static RECIPE: Recipe = Recipe {
    choose,
    head: &q5_k::CODEC,
    embedding: &iq3_s::CODEC,
    lift: as_chosen,
    ..Recipe::uniform("IQ2_S", 28, &iq2_xs::CODEC)
};

fn choose(seat: &Seat) -> Option<&'static Codec> {
    low_bits::choose(seat, &iq3_s::CODEC, Some(&iq3_s::CODEC))
}
