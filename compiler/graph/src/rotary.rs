//! The rotary position embedding: its frequencies, and the pairs of dimensions that rotate together.
//!
//! Frequencies and angles are f64; only their cosine and sine are rounded to f32. So the product `position * frequency`
//! stays precise at large positions.

use std::f64::consts::TAU;
use std::sync::Arc;

use mc_digest::content_hash::ContentHash;
use mc_tensor::math;
use serde::{Deserialize, Serialize};

/// Scaling of rotary frequencies.
#[derive(Clone, ContentHash, Debug, Deserialize, PartialEq, Serialize)]
pub enum RotaryScaling {
    /// None.
    #[content("none")]
    None,
    /// Every frequency is divided by `factor`.
    #[content("linear")]
    Linear {
        /// The divisor.
        #[content("factor")]
        factor: f32,
    },
    /// Every frequency is divided by `factor` and by its own divisor, which comes with the weights.
    #[content("divisors")]
    Divisors {
        /// The common divisor.
        #[content("factor")]
        factor: f32,
    },
    /// Llama 3.1's rule: low frequencies are divided by `factor`, high ones kept, with a ramp between.
    #[content("llama3")]
    Llama3 {
        /// The divisor of low frequencies.
        #[content("factor")]
        factor: f32,
        /// Wavelengths above `original_context / low_freq_factor` are divided.
        #[content("low-freq-factor")]
        low_freq_factor: f32,
        /// Wavelengths below `original_context / high_freq_factor` are kept.
        #[content("high-freq-factor")]
        high_freq_factor: f32,
        /// Context length before scaling.
        #[content("original-context")]
        original_context: u32,
    },
    /// `YaRN`: like Llama 3's, with the ramp between two numbers of rotations, and a factor on queries and keys.
    #[content("yarn")]
    Yarn(#[content("of")] Yarn),
    /// One divisor per frequency: one set for contexts up to the original length and one for longer ones.
    #[content("long-rope")]
    LongRope {
        /// Context length before scaling.
        #[content("original-context")]
        original_context: u32,
        /// Factor on queries and keys.
        #[content("attention-factor")]
        attention_factor: f32,
        /// The divisors; `None` if they come with the weights.
        #[content("factors")]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        factors: Option<LongRopeFactors>,
    },
}

/// The parameters of `YaRN`. Absent ones have the reader's defaults (32 and 1 rotations, `0.1 ln(factor) + 1`).
///
/// Source: Peng et al. 2023, arXiv:2309.00071.
#[derive(Clone, ContentHash, Copy, Debug, Deserialize, PartialEq, Serialize)]
#[content("yarn")]
pub struct Yarn {
    /// The divisor of low frequencies.
    #[content("factor")]
    pub factor: f32,
    /// Context length before scaling.
    #[content("original-context")]
    pub original_context: u32,
    /// The fraction of the unscaled frequencies that is mixed in.
    #[content("extrapolation-factor")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extrapolation_factor: Option<f32>,
    /// Factor on queries and keys.
    #[content("attention-factor")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attention_factor: Option<f32>,
    /// Rotations above which a frequency is kept.
    #[content("beta-fast")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub beta_fast: Option<f32>,
    /// Rotations below which a frequency is divided.
    #[content("beta-slow")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub beta_slow: Option<f32>,
}

/// The divisors of `LongRope`, one per pair.
#[derive(Clone, ContentHash, Debug, Deserialize, PartialEq, Serialize)]
#[content("long-rope-factors")]
pub struct LongRopeFactors {
    /// For contexts longer than the original.
    #[content("long")]
    pub long: Arc<[f32]>,
    /// For contexts up to the original.
    #[content("short")]
    pub short: Arc<[f32]>,
}

/// The two dimensions of a head that form one rotating pair.
#[derive(Clone, ContentHash, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum RotaryPairing {
    /// Dimension `i` with `i + n_dims / 2`: Hugging Face checkpoints.
    #[content("half-split")]
    HalfSplit,
    /// Dimension `2i` with `2i + 1`: GGUF files of the Llama family, whose q and k rows are permuted accordingly.
    #[content("interleaved")]
    Interleaved,
}

/// The frequencies of a rotary embedding, and the factor on cosine and sine.
#[derive(Clone, Debug, PartialEq)]
pub struct Frequencies {
    /// Radians per position, for each pair.
    pub per_pair: Vec<f64>,
    /// Factor on cosine and sine.
    pub factor: f64,
}

impl Frequencies {
    /// Computes `base^(-2i / n_dims)`, scaled.
    ///
    /// * `divisors`: divisors of the frequencies that come with the weights, if the scaling uses them
    /// * `is_long`: true if the sequence may exceed the original context of [`RotaryScaling::LongRope`]
    pub fn new(
        n_dims: u32,
        base: f32,
        scaling: &RotaryScaling,
        divisors: Option<&[f32]>,
        is_long: bool,
    ) -> Self {
        let log_base = math::ln(f64::from(base));
        let plain = |pair: u32| math::exp(-log_base * f64::from(2 * pair) / f64::from(n_dims));
        let frequency = |pair: u32| {
            let divisor = divisors
                .and_then(|divisors| divisors.get(pair as usize))
                .map_or(1.0, |divisor| f64::from(*divisor));
            stretched(scaling, plain(pair), pair, n_dims, log_base, is_long) / divisor
        };
        Self { per_pair: (0..n_dims / 2).map(frequency).collect(), factor: attention_factor(scaling) }
    }

    /// Cosines and sines of `n` positions from `first`, one row of all pairs per position.
    pub fn angles(&self, first: usize, n: usize) -> (Vec<f32>, Vec<f32>) {
        let angles = (first..first + n)
            .flat_map(|position| self.per_pair.iter().map(move |frequency| position as f64 * frequency));
        let rounded =
            |(sine, cosine): (f64, f64)| ((cosine * self.factor) as f32, (sine * self.factor) as f32);
        angles.map(|angle| rounded(math::sin_cos(angle))).unzip()
    }
}

/// Scales a frequency.
///
/// Source of the Llama 3 rule: `apply_scaling`, models/llama3/reference_impl/model.py of llama-models; of YaRN:
/// `_compute_yarn_parameters`, modeling_rope_utils.py of Transformers.
fn stretched(
    scaling: &RotaryScaling,
    frequency: f64,
    pair: u32,
    n_dims: u32,
    log_base: f64,
    is_long: bool,
) -> f64 {
    match scaling {
        RotaryScaling::None => frequency,
        RotaryScaling::Linear { factor } | RotaryScaling::Divisors { factor } => {
            frequency / f64::from(*factor)
        }
        RotaryScaling::Llama3 { factor, low_freq_factor, high_freq_factor, original_context } => {
            let turns = f64::from(*original_context) * frequency / TAU;
            frequency
                / llama3_divisor(
                    turns,
                    f64::from(*factor),
                    f64::from(*low_freq_factor),
                    f64::from(*high_freq_factor),
                )
        }
        RotaryScaling::Yarn(yarn) => {
            let kept = yarn_share(yarn, pair, n_dims, log_base)
                * f64::from(yarn.extrapolation_factor.unwrap_or(1.0));
            frequency / f64::from(yarn.factor) * (1.0 - kept) + frequency * kept
        }
        RotaryScaling::LongRope { factors: Some(factors), .. } => {
            let divisors = if is_long { &factors.long } else { &factors.short };
            frequency / divisors.get(pair as usize).map_or(1.0, |divisor| f64::from(*divisor))
        }
        RotaryScaling::LongRope { factors: None, .. } => frequency,
    }
}

fn llama3_divisor(turns: f64, factor: f64, low: f64, high: f64) -> f64 {
    if turns > high {
        1.0
    } else if turns < low {
        factor
    } else {
        let smooth = (turns - low) / (high - low);
        1.0 / ((1.0 - smooth) / factor + smooth)
    }
}

/// The fraction of a pair's frequency that is kept: 1 for pairs that rotate often within the original context, 0 for
/// slow ones.
fn yarn_share(yarn: &Yarn, pair: u32, n_dims: u32, log_base: f64) -> f64 {
    let original = f64::from(yarn.original_context);
    let dimension =
        |turns: f32| f64::from(n_dims) * math::ln(original / (f64::from(turns) * TAU)) / (2.0 * log_base);
    let low = dimension(yarn.beta_fast.unwrap_or(32.0)).floor().max(0.0);
    let high = dimension(yarn.beta_slow.unwrap_or(1.0)).ceil().min(f64::from(n_dims) - 1.0);
    let width = if low == high { 0.001 } else { high - low };
    1.0 - ((f64::from(pair) - low) / width).clamp(0.0, 1.0)
}

/// The factor on cosine and sine.
fn attention_factor(scaling: &RotaryScaling) -> f64 {
    match scaling {
        RotaryScaling::Yarn(yarn) => match yarn.attention_factor {
            Some(factor) => f64::from(factor),
            None if yarn.factor > 1.0 => 0.1 * math::ln(f64::from(yarn.factor)) + 1.0,
            None => 1.0,
        },
        RotaryScaling::LongRope { attention_factor, .. } => f64::from(*attention_factor),
        RotaryScaling::None
        | RotaryScaling::Linear { .. }
        | RotaryScaling::Divisors { .. }
        | RotaryScaling::Llama3 { .. } => 1.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LLAMA3: RotaryScaling = RotaryScaling::Llama3 {
        factor: 32.0,
        low_freq_factor: 1.0,
        high_freq_factor: 4.0,
        original_context: 8192,
    };

    fn frequencies(scaling: &RotaryScaling, divisors: Option<&[f32]>) -> Vec<f64> {
        Frequencies::new(64, 500_000.0, scaling, divisors, false).per_pair
    }

    #[test]
    fn llama3_keeps_high_frequencies_and_divides_low_ones() {
        let plain = frequencies(&RotaryScaling::None, None);
        let scaled = frequencies(&LLAMA3, None);
        assert_eq!(plain[0], scaled[0]);
        assert_eq!(plain[31] / 32.0, scaled[31]);
        let between = plain.iter().zip(&scaled).filter(|(a, b)| *a > *b && **b > **a / 32.0).count();
        assert_eq!(between, 3, "wavelengths between 2048 and 8192");
    }

    #[test]
    fn divisors_from_the_weights_replace_the_rule() {
        let plain = frequencies(&RotaryScaling::None, None);
        let by_rule = frequencies(&LLAMA3, None);
        let divisors: Vec<f32> =
            plain.iter().zip(&by_rule).map(|(plain, by_rule)| (plain / by_rule) as f32).collect();
        for (a, b) in
            by_rule.iter().zip(&frequencies(&RotaryScaling::Divisors { factor: 1.0 }, Some(&divisors)))
        {
            assert!((a - b).abs() <= 1e-7 * a, "{a} {b}");
        }
    }

    #[test]
    fn yarn_keeps_fast_pairs_divides_slow_ones_and_raises_cosine_and_sine() {
        let yarn = Yarn {
            factor: 4.0,
            original_context: 64,
            extrapolation_factor: None,
            attention_factor: None,
            beta_fast: None,
            beta_slow: None,
        };
        let plain = Frequencies::new(64, 10_000.0, &RotaryScaling::None, None, false);
        let yarn = Frequencies::new(64, 10_000.0, &RotaryScaling::Yarn(yarn), None, false);
        assert_eq!(plain.per_pair[0], yarn.per_pair[0]);
        assert_eq!(plain.per_pair[31] / 4.0, yarn.per_pair[31]);
        assert!((yarn.factor - 1.138_629).abs() < 1e-6);
    }

    #[test]
    fn long_contexts_have_divisors_of_their_own() {
        let factors = LongRopeFactors { long: [2.0, 4.0].into(), short: [1.0, 1.5].into() };
        let scaling =
            RotaryScaling::LongRope { original_context: 64, attention_factor: 1.25, factors: Some(factors) };
        let plain = Frequencies::new(4, 100.0, &RotaryScaling::None, None, false).per_pair;
        let short = Frequencies::new(4, 100.0, &scaling, None, false);
        let long = Frequencies::new(4, 100.0, &scaling, None, true);
        assert_eq!((short.factor, long.factor), (1.25, 1.25));
        assert_eq!(short.per_pair, [plain[0], plain[1] / 1.5]);
        assert_eq!(long.per_pair, [plain[0] / 2.0, plain[1] / 4.0]);
    }
}
