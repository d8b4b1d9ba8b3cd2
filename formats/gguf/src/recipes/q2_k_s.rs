//! Q2_K_S: Q2_K, weighed by importance, and Q4_K for small values and the first down projections.

use mc_encoding::blocks::{q2_k, q4_k};
use mc_encoding::codec::Codec;

use crate::recipes::recipe::Recipe;
use crate::recipes::seat::{Part, Seat};

/// The recipe.
pub static RECIPE: Recipe =
    Recipe { choose, expects_imatrix: &[&q2_k::CODEC], ..Recipe::uniform("Q2_K_S", 21, &q2_k::CODEC) };

fn choose(seat: &Seat) -> Option<&'static Codec> {
    match seat.part {
        Part::Value if seat.has_small_values() => Some(&q4_k::CODEC),
        Part::Down if seat.is_in_first_eighth() => Some(&q4_k::CODEC),
        _ => None,
    }
}
