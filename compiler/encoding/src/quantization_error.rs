//! Quantization error: the difference between weights and their decoded blocks.
//!
//! Sums are taken in sixteen lanes of f64 and folded in a fixed tree, so an error has the same bits on every machine.

use mc_tensor::cpu_path::CpuPath;
use mc_tensor::math;

use crate::lanes::{Kernel, Simd, dispatch};

/// Number of lanes of every sum.
const N_LANES: usize = 16;

/// The difference between weights and their blocks, over any number of rows.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct QuantizationError {
    /// Number of weights compared.
    pub n_elements: u64,
    /// The sum of their squares.
    pub signal: f64,
    /// The sum of the squared differences.
    pub noise: f64,
    /// The largest absolute difference.
    pub max_error: f32,
    /// Number of blocks that decode to infinities or NaN, because a scale is out of range.
    pub n_overflowed_blocks: u64,
    /// Number of blocks that decode to zeros although a weight is not zero.
    pub n_vanished_blocks: u64,
}

impl QuantizationError {
    /// Compares weights with decoded values; both are whole blocks.
    ///
    /// # Panics
    /// If the lengths differ.
    pub fn of(weights: &[f32], decoded: &[f32], block_len: usize) -> Self {
        Self::of_on(CpuPath::detect(), weights, decoded, block_len)
    }

    /// Like [`Self::of`], on a given path; the numbers are the same on all paths.
    ///
    /// # Panics
    /// If the lengths differ.
    pub fn of_on(path: CpuPath, weights: &[f32], decoded: &[f32], block_len: usize) -> Self {
        assert_eq!(weights.len(), decoded.len(), "weights and decoded numbers");
        let mut loss = Self::default();
        let compare = Compare { weights, decoded, block_len: block_len.max(N_LANES), loss: &mut loss };
        if !dispatch::run(path, compare) {
            loss.compare(weights, decoded, block_len.max(N_LANES));
        }
        loss
    }

    #[inline(always)]
    fn compare(&mut self, weights: &[f32], decoded: &[f32], block_len: usize) {
        let (mut signal, mut noise) = ([0.0_f64; N_LANES], [0.0_f64; N_LANES]);
        let mut max_error = [0.0_f32; N_LANES];
        let (weight_groups, rest) = weights.as_chunks::<N_LANES>();
        let (decoded_groups, decoded_rest) = decoded.as_chunks::<N_LANES>();
        for (weights, decoded) in weight_groups.iter().zip(decoded_groups) {
            for lane in 0..N_LANES {
                let difference = decoded[lane] - weights[lane];
                signal[lane] += f64::from(weights[lane]) * f64::from(weights[lane]);
                noise[lane] += f64::from(difference) * f64::from(difference);
                max_error[lane] = max_error[lane].max(difference.abs());
            }
        }
        for (lane, (weight, decoded)) in rest.iter().zip(decoded_rest).enumerate() {
            let difference = decoded - weight;
            signal[lane] += f64::from(*weight) * f64::from(*weight);
            noise[lane] += f64::from(difference) * f64::from(difference);
            max_error[lane] = max_error[lane].max(difference.abs());
        }
        self.n_elements = weights.len() as u64;
        self.signal = fold(signal);
        self.noise = fold(noise);
        self.max_error = max_error.into_iter().fold(0.0, f32::max);
        self.count_blocks(weights, decoded, block_len);
    }

    /// Plain floats have no blocks; sixteen of them count as one, which also shows underflow.
    #[inline(always)]
    fn count_blocks(&mut self, weights: &[f32], decoded: &[f32], block_len: usize) {
        for (weights, decoded) in weights.chunks(block_len).zip(decoded.chunks(block_len)) {
            // Exponents and magnitudes are combined first, because nearly every block is clean.
            let (mut is_finite, mut magnitudes) = (true, 0);
            for decoded in decoded {
                is_finite &= decoded.to_bits() & 0x7f80_0000 != 0x7f80_0000;
                magnitudes |= decoded.to_bits() << 1;
            }
            if !is_finite {
                self.n_overflowed_blocks += 1;
            } else if magnitudes == 0 && weights.iter().any(|weight| *weight != 0.0) {
                self.n_vanished_blocks += 1;
            }
        }
    }

    /// Adds the error of later rows.
    pub fn add(&mut self, later: &Self) {
        self.n_elements += later.n_elements;
        self.signal += later.signal;
        self.noise += later.noise;
        self.max_error = self.max_error.max(later.max_error);
        self.n_overflowed_blocks += later.n_overflowed_blocks;
        self.n_vanished_blocks += later.n_vanished_blocks;
    }

    /// The root mean square of the differences.
    pub fn rmse(&self) -> f64 {
        if self.n_elements == 0 { 0.0 } else { (self.noise / self.n_elements as f64).sqrt() }
    }

    /// The signal-to-noise ratio in decibels; `None` if there is no error, no signal, or a NaN.
    pub fn snr_db(&self) -> Option<f64> {
        let ratio = self.signal / self.noise;
        (self.noise > 0.0 && ratio > 0.0 && ratio.is_finite())
            .then(|| 10.0 * math::ln(ratio) / math::ln(10.0))
    }
}

/// [`QuantizationError::compare`], compiled for every width; the compiler vectorizes it.
struct Compare<'a> {
    weights: &'a [f32],
    decoded: &'a [f32],
    block_len: usize,
    loss: &'a mut QuantizationError,
}

impl Kernel for Compare<'_> {
    #[inline(always)]
    fn run<S: Simd>(self) {
        self.loss.compare(self.weights, self.decoded, self.block_len);
    }
}

#[inline(always)]
fn fold(mut lanes: [f64; N_LANES]) -> f64 {
    let mut n = N_LANES;
    while n > 1 {
        n /= 2;
        for lane in 0..n {
            lanes[lane] += lanes[lane + n];
        }
    }
    lanes[0]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_follows_its_definition() {
        let loss = QuantizationError::of(&[3.0, -4.0, 0.0, 0.0], &[3.0, -3.0, 0.0, 0.0], 4);
        assert_eq!((loss.n_elements, loss.signal, loss.noise, loss.max_error), (4, 25.0, 1.0, 1.0));
        assert_eq!(loss.rmse(), 0.5);
        assert!((loss.snr_db().unwrap() - 13.979_400_086_720_377).abs() < 1e-12);
    }

    #[test]
    fn without_error_there_is_no_ratio() {
        let loss = QuantizationError::of(&[1.0; 40], &[1.0; 40], 8);
        assert_eq!((loss.noise, loss.snr_db()), (0.0, None));
        assert_eq!(QuantizationError::default().rmse(), 0.0);
    }

    #[test]
    fn blocks_out_of_range_are_counted() {
        let mut weights = [1.0; 64];
        weights[32..48].fill(1e-30);
        weights[48..].fill(0.0);
        let mut decoded = [0.0; 64];
        decoded[..16].fill(f32::INFINITY);
        decoded[16..32].fill(f32::NAN);
        let loss = QuantizationError::of(&weights, &decoded, 16);
        assert_eq!((loss.n_overflowed_blocks, loss.n_vanished_blocks), (2, 1));
    }

    #[test]
    fn every_path_counts_the_same() {
        let weights: Vec<f32> = (0..1000).map(|i| ((i * 7919 % 1009) as f32 - 504.0) / 7.0).collect();
        let mut decoded: Vec<f32> = weights.iter().map(|weight| (weight / 3.0).round() * 3.0).collect();
        let (sound, mut broken) = (decoded.clone(), decoded.split_off(500));
        broken[17] = f32::NAN;
        broken[99] = f32::NEG_INFINITY;
        for (weights, decoded) in
            [(&weights[..], &sound), (&weights[500..], &broken), (&weights[..500], &decoded)]
        {
            let expected = QuantizationError::of_on(CpuPath::available()[0], weights, decoded, 32);
            for path in CpuPath::available() {
                let found = QuantizationError::of_on(path, weights, decoded, 32);
                let bits = |loss: &QuantizationError| {
                    [loss.signal.to_bits(), loss.noise.to_bits(), loss.max_error.to_bits().into()]
                };
                assert_eq!(bits(&found), bits(&expected), "{}", path.name());
                assert_eq!(found.n_overflowed_blocks, expected.n_overflowed_blocks, "{}", path.name());
                assert_eq!(found.n_vanished_blocks, expected.n_vanished_blocks, "{}", path.name());
            }
        }
    }

    #[test]
    fn parts_add_up_to_the_whole() {
        let weights: Vec<f32> = (0..96).map(|i| (i * 37 % 101) as f32 - 50.0).collect();
        let decoded: Vec<f32> = weights.iter().map(|weight| (weight / 4.0).round() * 4.0).collect();
        let whole = QuantizationError::of(&weights, &decoded, 32);
        let mut parts = QuantizationError::of(&weights[..32], &decoded[..32], 32);
        parts.add(&QuantizationError::of(&weights[32..], &decoded[32..], 32));
        assert_eq!(parts, whole);
    }
}
