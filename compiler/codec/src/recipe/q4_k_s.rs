//! Q4_K_S: Q4_K, and Q5_K for the first value and down projections.

use mc_tensor::model_tensor::ModelTensor;

use crate::codec::Codec;
use crate::recipes::{Recipe, Seat, is_seventy_billion_value};
use crate::{q4_k, q5_k};

/// The recipe.
pub static RECIPE: Recipe = Recipe { name: "Q4_K_S", file_type: 14, default: &q4_k::CODEC, choose };

fn choose(seat: &Seat) -> Option<&'static Codec> {
    match seat.tensor {
        ModelTensor::AttnV { .. } if seat.i < 4 || is_seventy_billion_value(seat) => Some(&q5_k::CODEC),
        ModelTensor::FfnDown { .. } if seat.i < seat.n / 8 => Some(&q5_k::CODEC),
        _ => None,
    }
}
