//! Q5_0: Q5_0, and Q5_1 for the first eighth of the feed-forward's down projections with importance.

use mc_tensor::model_tensor::ModelTensor;

use crate::codec::Codec;
use crate::recipes::{Recipe, Seat};
use crate::{q5_0, q5_1};

/// The recipe.
pub static RECIPE: Recipe = Recipe { name: "Q5_0", file_type: 8, default: &q5_0::CODEC, choose };

fn choose(seat: &Seat) -> Option<&'static Codec> {
    match seat.tensor {
        ModelTensor::FfnDown { .. } if seat.has_imatrix && seat.i < seat.n / 8 => Some(&q5_1::CODEC),
        _ => None,
    }
}
