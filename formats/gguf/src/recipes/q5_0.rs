//! Q5_0: Q5_0, and Q5_1 for the first eighth of the feed-forward's down projections with importance.

use mc_encoding::blocks::{q5_0, q5_1};
use mc_encoding::codec::Codec;

use crate::recipes::recipe::Recipe;
use crate::recipes::tensor_position::{Part, TensorPosition};

/// The recipe.
pub static RECIPE: Recipe = Recipe { choose, ..Recipe::uniform("Q5_0", 8, &q5_0::CODEC) };

fn choose(position: &TensorPosition) -> Option<&'static Codec> {
    match position.part {
        Part::Down if position.has_imatrix && position.is_in_first_eighth() => Some(&q5_1::CODEC),
        _ => None,
    }
}
