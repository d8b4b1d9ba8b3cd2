//! Q4_0: Q4_0, and Q4_1 for the first eighth of the feed-forward's down projections with importance.

use mc_tensor::model_tensor::ModelTensor;

use crate::codec::Codec;
use crate::recipes::{Recipe, Seat};
use crate::{q4_0, q4_1};

/// The recipe.
pub static RECIPE: Recipe = Recipe { name: "Q4_0", file_type: 2, default: &q4_0::CODEC, choose };

fn choose(seat: &Seat) -> Option<&'static Codec> {
    match seat.tensor {
        ModelTensor::FfnDown { .. } if seat.has_imatrix && seat.i < seat.n / 8 => Some(&q4_1::CODEC),
        _ => None,
    }
}
