//! IQ4_NL: IQ4_NL, and Q5_K for small values and, without importance, the first down projections.

use mc_encoding::blocks::{iq4_nl, q5_k};
use mc_encoding::codec::Codec;

use crate::recipes::recipe::Recipe;
use crate::recipes::seat::{Part, Seat};

/// The recipe.
pub static RECIPE: Recipe = Recipe { choose, ..Recipe::uniform("IQ4_NL", 25, &iq4_nl::CODEC) };

fn choose(seat: &Seat) -> Option<&'static Codec> {
    match seat.part {
        Part::Value if seat.has_small_values() => Some(&q5_k::CODEC),
        Part::Down if !seat.has_imatrix && seat.is_in_first_eighth() => Some(&q5_k::CODEC),
        Part::AttnOutput if seat.has_eight_experts() => Some(&q5_k::CODEC),
        _ => None,
    }
}
