//! IQ1_S: IQ1_S, and more for values, attention outputs and the first down projections.

use crate::codec::Codec;
use crate::recipes::{Recipe, as_chosen};
use crate::seat::Seat;
use crate::{iq1_s, iq2_xxs, low_bits, q2_k, q5_k};

/// The recipe.
pub static RECIPE: Recipe = Recipe {
    choose,
    head: &q5_k::CODEC,
    embedding: &q2_k::CODEC,
    lift: as_chosen,
    ..Recipe::uniform("IQ1_S", 24, &iq1_s::CODEC)
};

fn choose(seat: &Seat) -> Option<&'static Codec> {
    low_bits::choose(seat, &q2_k::CODEC, Some(&iq2_xxs::CODEC))
}
