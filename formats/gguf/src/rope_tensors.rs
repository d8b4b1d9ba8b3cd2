//! The divisors of rotary frequencies that files hold as tensors, where other formats compute them.

use mc_decoder::program::{Decoder, RotaryScaling};
use mc_decoder::rotary_factors::llama3;
use mc_tensor::model_tensor::ModelTensor;

/// The tensors that a program's scaling needs, in the order of files.
pub fn of(decoder: &Decoder) -> Vec<(ModelTensor, Vec<f32>)> {
    let Some(rotary) = decoder.attentions().find_map(|attention| attention.rotary.as_ref()) else {
        return Vec::new();
    };
    if let Some(factors) = llama3(rotary) {
        return vec![(ModelTensor::RopeFreqs, factors)];
    }
    match &rotary.scaling {
        RotaryScaling::LongRope { factors: Some(factors), .. } => vec![
            (ModelTensor::RopeFactorsLong, factors.long.to_vec()),
            (ModelTensor::RopeFactorsShort, factors.short.to_vec()),
        ],
        _ => Vec::new(),
    }
}
