//! Divisors of rotary frequencies that GGUF files store as tensors and other formats compute.
//!
//! Source of Llama 3's rule: `convert_hf_to_gguf.py` of llama.cpp; the divisors have the same bits.

use std::f32::consts::TAU;

use mc_decoder::program::Decoder;
use mc_decoder::rotary::Rotary;
use mc_graph::rotary::RotaryScaling;
use mc_tensor::math;
use mc_tensor::model_tensor::ModelTensor;

/// The tensors that a program's scaling needs, in file order.
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

/// The divisors of Llama 3.1's scaling, one per pair; `None` for any other scaling.
fn llama3(rotary: &Rotary) -> Option<Vec<f32>> {
    let RotaryScaling::Llama3 { factor, low_freq_factor, high_freq_factor, original_context } =
        rotary.scaling
    else {
        return None;
    };
    let original_context = original_context as f32;
    Some(Ramp { factor, low_freq_factor, high_freq_factor, original_context }.factors(rotary))
}

/// Llama 3.1's scaling, computed in f32 and with a reciprocal where the reference converter uses one, so that the
/// factors have the same bits.
struct Ramp {
    factor: f32,
    low_freq_factor: f32,
    high_freq_factor: f32,
    original_context: f32,
}

impl Ramp {
    fn factors(&self, rotary: &Rotary) -> Vec<f32> {
        let frequency = |pair: u32| frequency(rotary.base, 2 * pair, rotary.n_dims);
        (0..rotary.n_dims / 2).map(|pair| self.factor(frequency(pair))).collect()
    }

    fn factor(&self, frequency: f32) -> f32 {
        let wavelength = (1.0 / frequency) * TAU;
        if wavelength < self.original_context / self.high_freq_factor {
            return 1.0;
        }
        if wavelength > self.original_context / self.low_freq_factor {
            return self.factor;
        }
        let position = (1.0 / wavelength) * self.original_context - self.low_freq_factor;
        let smooth = position / (self.high_freq_factor - self.low_freq_factor);
        1.0 / ((1.0 - smooth) / self.factor + smooth)
    }
}

/// The frequency of one pair: `base^(-dim / n_dims)`.
fn frequency(base: f32, dim: u32, n_dims: u32) -> f32 {
    let exponent = dim as f32 / n_dims as f32;
    1.0 / math::pow(f64::from(base), f64::from(exponent)) as f32
}
