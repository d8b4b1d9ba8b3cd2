//! The common part of IQ4_NL and IQ4_XS: 4-bit codes that name one of sixteen unevenly spaced values,
//! `w ~= d * VALUES[q]`.
//!
//! The values are denser around zero, like weights.
//!
//! Source: `kvalues_iq4nl` of ggml-common.h, `quantize_row_iq4_nl_impl` of ggml-quants.c.

use crate::lanes::Simd;
use crate::search::{GROUP_MAX_EPS, extreme, sum_of_squares, weigh};

/// Number of weights per scale.
pub(crate) const SUB_LEN: usize = 32;

/// The values of the codes.
pub(crate) const VALUES: [f32; 16] = [
    -127.0, -104.0, -83.0, -65.0, -49.0, -35.0, -22.0, -10.0, 1.0, 13.0, 25.0, 38.0, 53.0, 69.0, 89.0, 113.0,
];

/// Number of scales tried on each side of the one that maps the largest weight to the first value.
pub(crate) const N_TRIES: i32 = 7;

/// The code of the value nearest to `x`: the upper of two equally near ones, the last one for NaN.
#[inline(always)]
pub(crate) fn nearest_code(x: f32) -> u8 {
    // Counted instead of searched, so that lanes can do the same.
    #[expect(clippy::neg_cmp_op_on_partial_ord, reason = "NaN counts as above")]
    let below: usize = VALUES[1..15].iter().map(|value| usize::from(!(x < *value))).sum();
    let is_lower = x - VALUES[below] < VALUES[below + 1] - x;
    (below + usize::from(!is_lower)) as u8
}

/// The mean square of a whole block, for [`scale`].
pub(crate) fn sigma2(x: &[f32]) -> f32 {
    sum_of_squares(x) * (2.0 / x.len() as f32)
}

/// The scale of 32 weights: the best of those tried, by squared error weighted with importance, or with `x^2`.
pub(crate) fn scale(x: &[f32; SUB_LEN], importance: Option<&[f32; SUB_LEN]>, sigma2: f32) -> f32 {
    let weights = importance.map_or_else(|| x.map(|x| x * x), |importance| weigh(x, importance, sigma2));
    let (max, abs_max) = extreme(x);
    if abs_max < GROUP_MAX_EPS {
        return 0.0;
    }
    let sums = |inverse: f32| {
        let (mut sum_qx, mut sum_q2) = (0.0_f32, 0.0_f32);
        for (value, w) in x.iter().zip(&weights) {
            let q = VALUES[usize::from(nearest_code(inverse * value))];
            sum_qx += w * q * value;
            sum_q2 += w * q * q;
        }
        (sum_qx, sum_q2)
    };
    let (sum_qx, sum_q2) = sums(1.0 / (-max / VALUES[0]));
    let mut scale = if sum_q2 > 0.0 { sum_qx / sum_q2 } else { 0.0 };
    let mut best = scale * sum_qx;
    for try_idx in -N_TRIES..=N_TRIES {
        let (sum_qx, sum_q2) = sums((try_idx as f32 + VALUES[0]) / max);
        if sum_q2 > 0.0 && sum_qx * sum_qx > best * sum_q2 {
            scale = sum_qx / sum_q2;
            best = scale * sum_qx;
        }
    }
    scale
}

/// Writes the codes of 32 weights under the inverse of their scale, two per byte: the first sixteen in the lower
/// halves.
pub(crate) fn write_codes(x: &[f32; SUB_LEN], inverse: f32, out: &mut [u8]) {
    let (lower, upper) = x.split_at(SUB_LEN / 2);
    for ((byte, lower), upper) in out.iter_mut().zip(lower).zip(upper) {
        *byte = nearest_code(inverse * lower) | nearest_code(inverse * upper) << 4;
    }
}

/// Decodes the codes that [`write_codes`] wrote.
pub(crate) fn read_codes(bytes: &[u8], scale: f32, out: &mut [f32; SUB_LEN]) {
    let (lower, upper) = out.split_at_mut(SUB_LEN / 2);
    for ((byte, lower), upper) in bytes.iter().zip(lower).zip(upper) {
        *lower = scale * VALUES[usize::from(byte & 15)];
        *upper = scale * VALUES[usize::from(byte >> 4)];
    }
}

/// [`read_codes`] in lanes.
#[inline(always)]
pub(crate) fn decode<S: Simd>(bytes: &[u8], scale: f32, out: &mut [f32; SUB_LEN]) {
    let scale = S::splat(scale);
    for first in (0..SUB_LEN / 2).step_by(S::N) {
        let codes = S::load_bytes(&bytes[first..]);
        S::store(scale * S::lookup(&VALUES, codes), &mut out[first..]);
        S::store(scale * S::lookup(&VALUES, S::shr::<4>(codes)), &mut out[first + SUB_LEN / 2..]);
    }
}

/// The inverse of a scale, or zero for a scale of zero.
pub(crate) fn inverse(scale: f32) -> f32 {
    if scale == 0.0 { 0.0 } else { 1.0 / scale }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_value_is_chosen_and_the_upper_of_two() {
        let codes = [-1e30, -127.0, -115.5, -115.6, 0.0, -4.5, -4.6, 113.0, f32::INFINITY].map(nearest_code);
        assert_eq!(codes, [0, 0, 1, 0, 8, 8, 7, 15, 15]);
        assert_eq!(nearest_code(f32::NAN), 15);
    }
}
