//! Q4_K_S: Q4_K, and Q5_K for the first value and down projections.

use mc_encoding::blocks::{q4_k, q5_k};
use mc_encoding::codec::Codec;

use crate::recipes::recipe::Recipe;
use crate::recipes::seat::{Part, Seat};

/// The recipe.
pub static RECIPE: Recipe = Recipe { choose, ..Recipe::uniform("Q4_K_S", 14, &q4_k::CODEC) };

fn choose(seat: &Seat) -> Option<&'static Codec> {
    match seat.part {
        Part::Value if seat.i < 4 => Some(&q5_k::CODEC),
        Part::Down if seat.is_in_first_eighth() => Some(&q5_k::CODEC),
        Part::AttnOutput if seat.has_eight_experts() => Some(&q5_k::CODEC),
        _ => None,
    }
}
