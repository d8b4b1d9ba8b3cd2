//! IQ3_XS: IQ3_S, and IQ3_XXS for queries, keys and the middle of the feed-forward.

use mc_encoding::blocks::{iq3_s, iq3_xxs, q4_k, q5_k};
use mc_encoding::codec::Codec;

use crate::recipes::recipe::Recipe;
use crate::recipes::tensor_position::{Part, TensorPosition};

/// The recipe.
pub static RECIPE: Recipe = Recipe { choose, ..Recipe::uniform("IQ3_XS", 22, &iq3_s::CODEC) };

fn choose(position: &TensorPosition) -> Option<&'static Codec> {
    match position.part {
        Part::Query | Part::Key => Some(&iq3_xxs::CODEC),
        Part::Value if position.has_small_values() => Some(&q4_k::CODEC),
        Part::Gate | Part::Up if !position.is_in_first_eighth() && position.depth < 7 * position.n / 8 => {
            Some(&iq3_xxs::CODEC)
        }
        Part::AttnOutput if position.has_eight_experts() => Some(&q5_k::CODEC),
        _ => None,
    }
}
