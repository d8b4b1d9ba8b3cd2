//! IQ2_XS: IQ2_XS, and more for values and the first down projections.

use crate::codec::Codec;
use crate::recipes::{Recipe, as_chosen};
use crate::seat::Seat;
use crate::{iq2_xs, low_bits, q2_k, q5_k};

/// The recipe.
pub static RECIPE: Recipe = Recipe {
    choose,
    head: &q5_k::CODEC,
    embedding: &q2_k::CODEC,
    lift: as_chosen,
    ..Recipe::uniform("IQ2_XS", 20, &iq2_xs::CODEC)
};

fn choose(seat: &Seat) -> Option<&'static Codec> {
    low_bits::choose(seat, &q2_k::CODEC, None)
}
