//! Q4_K_M: Q4_K, and Q6_K for half of the value and down projections.

use mc_tensor::model_tensor::ModelTensor;

use crate::codec::Codec;
use crate::recipes::{Recipe, Seat, deserves_more, is_seventy_billion_value};
use crate::{q4_k, q5_k, q6_k};

/// The recipe.
pub static RECIPE: Recipe = Recipe { name: "Q4_K_M", file_type: 15, default: &q4_k::CODEC, choose };

fn choose(seat: &Seat) -> Option<&'static Codec> {
    match seat.tensor {
        ModelTensor::AttnV { .. } | ModelTensor::FfnDown { .. } if deserves_more(seat) => Some(&q6_k::CODEC),
        _ if is_seventy_billion_value(seat) => Some(&q5_k::CODEC),
        _ => None,
    }
}
