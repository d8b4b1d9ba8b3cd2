//! Angles of the rotary position embedding.
//!
//! Frequencies and angles are f64, and only their cosine and sine are rounded to f32, so positions far out lose
//! nothing to the product `position * frequency`.

use std::f64::consts::TAU;

use mc_decoder::program::{Rotary, RotaryPairing, RotaryScaling};
use mc_tensor::math;

/// Frequencies of one layer's rotary embedding, in radians per position.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct RotaryFrequencies {
    pairing: RotaryPairing,
    frequencies: Vec<f64>,
}

impl RotaryFrequencies {
    /// `base^(-2i / n_dims)`, stretched as the scaling says.
    ///
    /// Factors that come with the weights divide the frequencies in place of [`RotaryScaling::Llama3`], whose rule
    /// made them.
    pub(crate) fn new(rotary: &Rotary, factors: Option<&[f32]>) -> Self {
        let n_dims = f64::from(rotary.n_dims);
        let log_base = math::ln(f64::from(rotary.base));
        let frequency = |pair: u32| math::exp(-log_base * f64::from(2 * pair) / n_dims);
        let frequencies = (0..rotary.n_dims / 2).map(|pair| {
            let frequency = frequency(pair);
            match (factors, &rotary.scaling) {
                (Some(factors), RotaryScaling::Linear { factor }) => {
                    frequency / f64::from(*factor) / f64::from(factors[pair as usize])
                }
                (Some(factors), _) => frequency / f64::from(factors[pair as usize]),
                (None, scaling) => frequency / scaling_factor(scaling, frequency),
            }
        });
        Self { pairing: rotary.pairing, frequencies: frequencies.collect() }
    }

    /// Cosines and sines of `n` positions from `first`.
    pub(crate) fn table(&self, first: usize, n: usize) -> RotaryTable {
        let angles = (first..first + n)
            .flat_map(|position| self.frequencies.iter().map(move |frequency| position as f64 * frequency));
        let rounded = |(sine, cosine): (f64, f64)| (cosine as f32, sine as f32);
        let (cosines, sines) = angles.map(|angle| rounded(math::sin_cos(angle))).unzip();
        RotaryTable { pairing: self.pairing, n_pairs: self.frequencies.len(), cosines, sines }
    }
}

/// What a frequency is divided by.
///
/// Source of the Llama 3 rule: `apply_scaling`, models/llama3/reference_impl/model.py of llama-models.
fn scaling_factor(scaling: &RotaryScaling, frequency: f64) -> f64 {
    match *scaling {
        // The last two are refused before: see `runnable`.
        RotaryScaling::None | RotaryScaling::Yarn(_) | RotaryScaling::LongRope { .. } => 1.0,
        RotaryScaling::Linear { factor } => f64::from(factor),
        RotaryScaling::Llama3 { factor, low_freq_factor, high_freq_factor, original_context } => {
            let (factor, low, high) =
                (f64::from(factor), f64::from(low_freq_factor), f64::from(high_freq_factor));
            let turns = f64::from(original_context) * frequency / TAU;
            if turns > high {
                1.0
            } else if turns < low {
                factor
            } else {
                let smooth = (turns - low) / (high - low);
                1.0 / ((1.0 - smooth) / factor + smooth)
            }
        }
    }
}

/// Cosines and sines for consecutive positions.
#[derive(Clone, Debug)]
pub struct RotaryTable {
    pairing: RotaryPairing,
    n_pairs: usize,
    cosines: Vec<f32>,
    sines: Vec<f32>,
}

impl RotaryTable {
    /// Which two dimensions turn together.
    pub(crate) fn pairing(&self) -> RotaryPairing {
        self.pairing
    }

    /// Cosines and sines of one position of the table.
    pub(crate) fn row(&self, row: usize) -> (&[f32], &[f32]) {
        let range = row * self.n_pairs..(row + 1) * self.n_pairs;
        (&self.cosines[range.clone()], &self.sines[range])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rotary(scaling: RotaryScaling) -> Rotary {
        Rotary { n_dims: 64, base: 500_000.0, scaling, pairing: RotaryPairing::HalfSplit }
    }

    const LLAMA3: RotaryScaling = RotaryScaling::Llama3 {
        factor: 32.0,
        low_freq_factor: 1.0,
        high_freq_factor: 4.0,
        original_context: 8192,
    };

    #[test]
    fn llama3_keeps_high_frequencies_and_divides_low_ones() {
        let plain = RotaryFrequencies::new(&rotary(RotaryScaling::None), None).frequencies;
        let scaled = RotaryFrequencies::new(&rotary(LLAMA3), None).frequencies;
        assert_eq!(plain[0], scaled[0]);
        assert_eq!(plain[31] / 32.0, scaled[31]);
        let between = plain.iter().zip(&scaled).filter(|(a, b)| *a > *b && **b > **a / 32.0).count();
        assert_eq!(between, 3, "wavelengths between 2048 and 8192");
    }

    #[test]
    fn factors_from_the_weights_replace_the_rule_that_made_them() {
        let plain = RotaryFrequencies::new(&rotary(RotaryScaling::None), None).frequencies;
        let factors: Vec<f32> = plain.iter().map(|f| scaling_factor(&LLAMA3, *f) as f32).collect();
        let by_rule = RotaryFrequencies::new(&rotary(LLAMA3), None).frequencies;
        let by_factors = RotaryFrequencies::new(&rotary(LLAMA3), Some(&factors)).frequencies;
        for (a, b) in by_rule.iter().zip(&by_factors) {
            assert!((a - b).abs() <= 1e-7 * a, "{a} {b}");
        }
    }
}
