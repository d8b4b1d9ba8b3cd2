//! IQ3_S: IQ3_S, and Q4_K for small values.

use mc_encoding::blocks::{iq3_s, q4_k, q5_k};
use mc_encoding::codec::Codec;

use crate::recipes::recipe::Recipe;
use crate::recipes::seat::{Part, Seat};

/// The recipe.
pub static RECIPE: Recipe = Recipe { choose, ..Recipe::uniform("IQ3_S", 26, &iq3_s::CODEC) };

fn choose(seat: &Seat) -> Option<&'static Codec> {
    match seat.part {
        Part::Value if seat.has_small_values() => Some(&q4_k::CODEC),
        Part::AttnOutput if seat.has_eight_experts() => Some(&q5_k::CODEC),
        _ => None,
    }
}
