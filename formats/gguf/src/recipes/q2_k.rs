//! Q2_K: Q2_K, and Q3_K or Q4_K where errors cost most: values, attention outputs and down projections.

use mc_encoding::blocks::{q2_k, q3_k, q4_k, q5_k};
use mc_encoding::codec::Codec;

use crate::recipes::recipe::Recipe;
use crate::recipes::seat::{Part, Seat};

/// The recipe.
pub static RECIPE: Recipe = Recipe { choose, ..Recipe::uniform("Q2_K", 10, &q2_k::CODEC) };

fn choose(seat: &Seat) -> Option<&'static Codec> {
    match seat.part {
        Part::Value if seat.has_small_values() => Some(&q4_k::CODEC),
        Part::Value | Part::Down => Some(&q3_k::CODEC),
        Part::AttnOutput if seat.has_eight_experts() => Some(&q5_k::CODEC),
        Part::AttnOutput => Some(&q3_k::CODEC),
        _ => None,
    }
}
