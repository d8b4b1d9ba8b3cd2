//! Q3_K_S: Q3_K, and Q6_K for the output.

use mc_encoding::blocks::{q3_k, q5_k};
use mc_encoding::codec::Codec;

use crate::recipes::recipe::Recipe;
use crate::recipes::seat::{Part, Seat};

/// The recipe.
pub static RECIPE: Recipe = Recipe { choose, ..Recipe::uniform("Q3_K_S", 11, &q3_k::CODEC) };

fn choose(seat: &Seat) -> Option<&'static Codec> {
    match seat.part {
        Part::AttnOutput if seat.has_eight_experts() => Some(&q5_k::CODEC),
        _ => None,
    }
}
