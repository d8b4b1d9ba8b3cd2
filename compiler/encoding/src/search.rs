//! The searches for scales, shared by the block codecs.
//!
//! Every operation and its order is part of the format: f32, multiply then add, never fused, as in ggml's reference on
//! x86-64 without FMA. Rounding is to nearest, ties to even, by adding 1.5 * 2^23.
//!
//! Source: `make_qx_quants`, `make_q3_quants`, `make_qkx2_quants`, `make_qkx3_quants`, `make_qp_quants` of
//! ggml-quants.c.

pub mod affine_subs;
pub mod extremes;
pub(crate) mod lanes;
pub mod lattice;
pub mod lattice_lanes;
pub mod lattice_subs;
pub mod super_blocks;
pub mod weighted_blocks;

use crate::rounding::{nearest_int, truncate};

/// A group whose numbers are all below this counts as zero.
pub(crate) const GROUP_MAX_EPS: f32 = 1e-15;

/// Error measure of a weight.
#[derive(Clone, Copy)]
pub(crate) enum Deviation {
    /// The absolute difference.
    Absolute,
    /// The square of the difference.
    Squared,
}

impl Deviation {
    #[inline(always)]
    fn of(self, difference: f32) -> f32 {
        match self {
            Self::Absolute => difference.abs(),
            Self::Squared => difference * difference,
        }
    }
}

/// The steps of an affine search: from `(n_max + start) / range` in increments of `step`.
#[derive(Clone, Copy)]
pub(crate) struct Walk {
    /// Largest code.
    pub(crate) n_max: i32,
    /// First offset of the scale's inverse.
    pub(crate) start: f32,
    /// Difference between two tries.
    pub(crate) step: f32,
    /// Number of steps; there is one more try than steps.
    pub(crate) n_steps: i32,
    /// The weighted error to minimize.
    pub(crate) deviation: Deviation,
}

/// The number with the largest magnitude, the first of equal ones, and its magnitude; zero and zero if there is none.
pub(crate) fn extreme(x: &[f32]) -> (f32, f32) {
    let (mut max, mut abs_max) = (0.0_f32, 0.0_f32);
    for &value in x {
        if value.abs() > abs_max {
            abs_max = value.abs();
            max = value;
        }
    }
    (max, abs_max)
}

/// Finds a symmetric scale for codes `-n_max..n_max`, stored as `0..2 n_max`. The squared error is weighted by
/// `weights`, or by `x^2` without them.
///
/// Returns the scale; codes go to `codes`.
pub(crate) fn symmetric<const N: usize>(
    x: &[f32; N],
    n_max: i32,
    weights: Option<&[f32; N]>,
    codes: &mut [u8; N],
) -> f32 {
    let (max, abs_max) = extreme(x);
    codes.fill(0);
    if abs_max < GROUP_MAX_EPS {
        return 0.0;
    }
    let mut w = [0.0_f32; N];
    for (w, (i, value)) in w.iter_mut().zip(x.iter().enumerate()) {
        *w = weights.map_or(value * value, |weights| weights[i]);
    }
    let code = |inverse: f32, value: f32| nearest_int(inverse * value).clamp(-n_max, n_max - 1);
    let sums = |inverse: f32| {
        let (mut sum_lx, mut sum_l2) = (0.0_f32, 0.0_f32);
        for (value, w) in x.iter().zip(&w) {
            let l = code(inverse, *value) as f32;
            sum_lx += w * value * l;
            sum_l2 += w * l * l;
        }
        (sum_lx, sum_l2)
    };
    let mut best_inverse = -(n_max as f32) / max;
    let (sum_lx, sum_l2) = sums(best_inverse);
    let mut scale = if sum_l2 == 0.0 { 0.0 } else { sum_lx / sum_l2 };
    let mut best = scale * sum_lx;
    for is in (-9..=9).filter(|is| *is != 0) {
        let inverse = -(n_max as f32 + 0.1 * is as f32) / max;
        let (sum_lx, sum_l2) = sums(inverse);
        if sum_l2 > 0.0 && sum_lx * sum_lx > best * sum_l2 {
            best_inverse = inverse;
            scale = sum_lx / sum_l2;
            best = scale * sum_lx;
        }
    }
    for (slot, value) in codes.iter_mut().zip(x) {
        *slot = (code(best_inverse, *value) + n_max) as u8;
    }
    scale
}

/// Finds a symmetric scale for codes `-n_max..n_max`, stored as `0..2 n_max`; the squared error is weighted by `x^2`.
///
/// Starts with the scale that maps the largest number to `-n_max` and changes single codes while the fit improves.
/// Returns the scale; codes go to `codes`.
pub(crate) fn descend<const N: usize>(x: &[f32; N], n_max: i32, codes: &mut [u8; N]) -> f32 {
    let (max, abs_max) = extreme(x);
    codes.fill(0);
    if abs_max < GROUP_MAX_EPS {
        return 0.0;
    }
    let inverse = -(n_max as f32) / max;
    let mut signed = [0_i32; N];
    let (mut sum_lx, mut sum_l2) = (0.0_f32, 0.0_f32);
    for (slot, value) in signed.iter_mut().zip(x) {
        *slot = nearest_int(inverse * value).clamp(-n_max, n_max - 1);
        let (w, l) = (value * value, *slot as f32);
        sum_lx += w * value * l;
        sum_l2 += w * l * l;
    }
    for _ in 0..5 {
        let mut is_changed = false;
        for (slot, value) in signed.iter_mut().zip(x) {
            let (w, l) = (value * value, *slot as f32);
            let mut lx = sum_lx - w * value * l;
            if lx > 0.0 {
                let mut l2 = sum_l2 - w * l * l;
                let code = nearest_int(value * l2 / lx).clamp(-n_max, n_max - 1);
                if code != *slot {
                    let l = code as f32;
                    lx += w * value * l;
                    l2 += w * l * l;
                    if l2 > 0.0 && lx * lx * sum_l2 > sum_lx * sum_lx * l2 {
                        *slot = code;
                        sum_lx = lx;
                        sum_l2 = l2;
                        is_changed = true;
                    }
                }
            }
        }
        if !is_changed {
            break;
        }
    }
    for (slot, signed) in codes.iter_mut().zip(signed) {
        *slot = (signed + n_max) as u8;
    }
    if sum_l2 > 0.0 { sum_lx / sum_l2 } else { 0.0 }
}

/// Finds a scale and a minimum for codes `0..=n_max`: `x ~= scale * code - min`, with the error weighted by `weights`.
///
/// Returns `(scale, min)`; codes go to `codes`.
pub(crate) fn affine<const N: usize>(
    x: &[f32; N],
    weights: &[f32; N],
    walk: Walk,
    codes: &mut [u8; N],
) -> (f32, f32) {
    let (mut min, mut max) = (x[0], x[0]);
    let mut sum_w = weights[0];
    let mut sum_x = sum_w * x[0];
    for (value, w) in x.iter().zip(weights).skip(1) {
        if *value < min {
            min = *value;
        }
        if *value > max {
            max = *value;
        }
        sum_w += w;
        sum_x += w * value;
    }
    if min > 0.0 {
        min = 0.0;
    }
    codes.fill(0);
    if max <= min {
        return (0.0, -min);
    }
    let n_max = walk.n_max as f32;
    let code = |inverse: f32, min: f32, value: f32| nearest_int(inverse * (value - min)).clamp(0, walk.n_max);
    let inverse = n_max / (max - min);
    let mut scale = 1.0 / inverse;
    let mut best_error = 0.0_f32;
    for ((slot, value), w) in codes.iter_mut().zip(x).zip(weights) {
        let l = code(inverse, min, *value);
        *slot = l as u8;
        let difference = scale * l as f32 + min - value;
        best_error += w * walk.deviation.of(difference);
    }
    let mut tried = [0_u8; N];
    for is in 0..=walk.n_steps {
        // The next try starts from the minimum of the best one so far.
        let inverse = (walk.start + walk.step * is as f32 + n_max) / (max - min);
        let (mut sum_l, mut sum_l2, mut sum_xl) = (0.0_f32, 0.0_f32, 0.0_f32);
        for ((slot, value), w) in tried.iter_mut().zip(x).zip(weights) {
            let code = code(inverse, min, *value);
            *slot = code as u8;
            let l = code as f32;
            sum_l += w * l;
            sum_l2 += w * l * l;
            sum_xl += w * l * value;
        }
        let determinant = sum_w * sum_l2 - sum_l * sum_l;
        if determinant > 0.0 {
            let mut this_scale = (sum_w * sum_xl - sum_x * sum_l) / determinant;
            let mut this_min = (sum_l2 * sum_x - sum_l * sum_xl) / determinant;
            if this_min > 0.0 {
                this_min = 0.0;
                this_scale = sum_xl / sum_l2;
            }
            let mut error = 0.0_f32;
            for ((l, value), w) in tried.iter().zip(x).zip(weights) {
                let difference = this_scale * f32::from(*l) + this_min - value;
                error += w * walk.deviation.of(difference);
            }
            if error < best_error {
                *codes = tried;
                best_error = error;
                scale = this_scale;
                min = this_min;
            }
        }
    }
    (scale, -min)
}

/// Finds a scale for numbers with codes `0..=n_max`: the scales or minima of a super-block, or magnitudes.
///
/// A number may still be negative, for example a scale if nearly all importance is zero; its code is then the lower
/// byte of a negative code.
///
/// Returns the scale; codes go to `codes`.
pub(crate) fn positive<const N: usize>(
    x: &[f32; N],
    n_max: i32,
    weights: &[f32; N],
    codes: &mut [u8; N],
) -> f32 {
    let max = x.iter().fold(0.0_f32, |max, value| if *value > max { *value } else { max });
    codes.fill(0);
    if max < GROUP_MAX_EPS {
        return 0.0;
    }
    let mut inverse = n_max as f32 / max;
    // The reference stores the codes of its first try in bytes, in which a negative one becomes a large one.
    let mut best_error = positive_error(x, weights, inverse, |code| i32::from(code as u8));
    for is in (-4..=4).filter(|is| *is != 0) {
        let tried = (0.1 * is as f32 + n_max as f32) / max;
        let error = positive_error(x, weights, tried, |code| code.min(n_max));
        if error < best_error {
            best_error = error;
            inverse = tried;
        }
    }
    let (mut sum_lx, mut sum_l2) = (0.0_f32, 0.0_f32);
    for ((slot, value), w) in codes.iter_mut().zip(x).zip(weights) {
        let code = nearest_int(inverse * value).min(n_max);
        *slot = code as u8;
        let l = code as f32;
        sum_lx += w * value * l;
        sum_l2 += w * l * l;
    }
    for _ in 0..5 {
        let mut is_changed = false;
        for ((slot, value), w) in codes.iter_mut().zip(x).zip(weights) {
            let l = f32::from(*slot);
            let mut lx = sum_lx - w * value * l;
            let mut l2 = sum_l2 - w * l * l;
            if lx > 0.0 && l2 > 0.0 {
                let code = nearest_int(value * l2 / lx).min(n_max);
                if code != i32::from(*slot) {
                    let l = code as f32;
                    lx += w * value * l;
                    l2 += w * l * l;
                    if lx * lx * sum_l2 > sum_lx * sum_lx * l2 {
                        *slot = code as u8;
                        sum_lx = lx;
                        sum_l2 = l2;
                        is_changed = true;
                    }
                }
            }
        }
        if !is_changed {
            break;
        }
    }
    if sum_l2 > 0.0 { sum_lx / sum_l2 } else { 0.0 }
}

fn positive_error<const N: usize>(
    x: &[f32; N],
    weights: &[f32; N],
    inverse: f32,
    limit: impl Fn(i32) -> i32,
) -> f32 {
    let scale = 1.0 / inverse;
    let mut error = 0.0_f32;
    for (value, w) in x.iter().zip(weights) {
        let difference = value - scale * limit(nearest_int(inverse * value)) as f32;
        error += w * difference * difference;
    }
    error
}

/// The largest magnitude as the scale, with codes 0, 1 and 2 for minus one, zero and one times it.
pub(crate) fn ternary<const N: usize>(x: &[f32; N]) -> (f32, [u8; N]) {
    let d = x.iter().fold(0.0_f32, |max, value| max.max(value.abs()));
    let inverse = if d == 0.0 { 0.0 } else { 1.0 / d };
    // Half away from zero, like C's `roundf`. An infinite inverse gives a lower byte of 0, so the code of zero.
    (d, x.map(|value| (truncate((value * inverse).round()) as u8).wrapping_add(1)))
}

/// The weights of a block with importance: `importance * sqrt(sigma2 + x^2)`.
pub(crate) fn weigh<const N: usize>(x: &[f32; N], importance: &[f32; N], sigma2: f32) -> [f32; N] {
    let mut weights = [0.0; N];
    for ((weight, value), importance) in weights.iter_mut().zip(x).zip(importance) {
        *weight = importance * (sigma2 + value * value).sqrt();
    }
    weights
}

/// The sum of squares, in order.
pub(crate) fn sum_of_squares(x: &[f32]) -> f32 {
    let mut sum = 0.0_f32;
    for value in x {
        sum += value * value;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_round_to_even() {
        let rounded: Vec<i32> = [0.5, 1.5, 2.5, -0.5, -1.5, 3.49, -3.51].map(nearest_int).to_vec();
        assert_eq!(rounded, [0, 2, 2, 0, -2, 3, -4]);
    }

    #[test]
    fn a_group_of_zeros_has_no_scale() {
        let mut codes = [9; 4];
        assert_eq!(symmetric(&[0.0; 4], 8, None, &mut codes), 0.0);
        assert_eq!(codes, [0; 4]);
        assert_eq!(descend(&[0.0; 4], 4, &mut codes), 0.0);
        assert_eq!(positive(&[0.0; 4], 63, &[1.0; 4], &mut codes), 0.0);
    }
}
