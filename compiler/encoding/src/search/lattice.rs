//! The common part of the IQ2 and IQ3 codecs: groups of weights become points of a `Codebook`, signs are stored
//! separately.
//!
//! A code `l` of a point represents `2 l + 1`, so a group is `scale * (2 l + 1)` with signs. Some codecs store seven of
//! eight signs; the eighth makes the number of minus signs even. If that number is odd, the sign of the least important
//! weight is flipped.
//!
//! Source: `quantize_row_iq2_*_impl` and `quantize_row_iq3_*_impl` of ggml-quants.c. Where those abort because numbers
//! overflow, this takes an arbitrary point and scale.

use crate::codebook::{Codebook, Place};
use crate::rounding::nearest_int;

/// Number of weights per byte of signs.
pub(crate) const SIGNED: usize = 8;

/// The magnitudes of eight weights and a bit for each negative one.
pub(crate) fn split_signs(x: &[f32; SIGNED]) -> ([f32; SIGNED], u8) {
    let mut signs = 0;
    for (i, x) in x.iter().enumerate() {
        signs |= u8::from(*x < 0.0) << i;
    }
    (x.map(|x| if x >= 0.0 { x } else { -x }), signs)
}

/// Like [`split_signs`], with an even number of bits: the weight whose flip costs least gets a negative magnitude.
///
/// Returns the lower seven bits.
pub(crate) fn split_even_signs(x: &[f32; SIGNED], weights: &[f32; SIGNED]) -> ([f32; SIGNED], u8) {
    let (mut magnitudes, mut signs) = split_signs(x);
    if signs.count_ones() % 2 == 1 {
        let cost = |i: usize| weights[i] * x[i] * x[i];
        let cheapest = (1..SIGNED).fold(0, |min, i| if cost(i) < cost(min) { i } else { min });
        magnitudes[cheapest] = -magnitudes[cheapest];
        signs ^= 1 << cheapest;
    }
    (magnitudes, signs & 127)
}

/// All eight signs from the lower seven.
pub(crate) fn even_signs(signs: u8) -> u8 {
    signs | ((signs.count_ones() % 2) as u8) << 7
}

/// Minus or plus one, by a bit of the signs.
pub(crate) fn sign(signs: u8, i: usize) -> f32 {
    if signs >> i & 1 == 1 { -1.0 } else { 1.0 }
}

/// The scales to try.
pub(crate) struct Tries {
    /// Number on each side of the scale that maps the range to the largest code.
    pub(crate) n: i32,
    /// Their spacing, in codes.
    pub(crate) step: f32,
    /// The refinement of the best.
    pub(crate) refine: Refine,
}

/// The groups that are placed again under the best scale itself.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Refine {
    /// Those that were between points.
    Between,
    /// All, if any was between points or no try was valid.
    AllIfBetween,
    /// All.
    All,
}

/// A scale and the points of `N` groups.
pub(crate) struct Fit<const N: usize> {
    /// Negative in rare cases, in which all signs flip.
    pub(crate) scale: f32,
    /// The indices of the points.
    pub(crate) points: [u16; N],
}

/// Finds a scale for groups of magnitudes and their points; the squared error is weighted by `weights`.
///
/// * `start`: the scale if no try is valid
/// * `range`: the magnitude that the largest code should represent
pub(crate) fn fit<const DIM: usize, const N: usize>(
    grid: &Codebook<DIM>,
    x: &[[f32; DIM]; N],
    weights: &[[f32; DIM]; N],
    start: f32,
    range: f32,
    tries: &Tries,
) -> Fit<N> {
    // Among neighbors the distance is weighted by the square root of the weight.
    let roots = weights.map(|weights| weights.map(f32::sqrt));
    let top = (2 * grid.max_code() + 1) as f32;
    let mut fit = Fit { scale: start, points: [0; N] };
    let mut is_between = [tries.refine != Refine::Between; N];
    let mut best = 0.0_f32;
    for try_idx in -tries.n..=tries.n {
        let inverse = (top + try_idx as f32 * tries.step) / range;
        let scale = 1.0 / inverse;
        let (mut points, mut is_new_between) = ([0; N], [false; N]);
        for group in 0..N {
            (points[group], is_new_between[group]) = place(grid, &x[group], &roots[group], inverse, scale);
        }
        let (sum_qx, sum_q2) = sums(grid, x, weights, &points);
        if sum_q2 > 0.0 && sum_qx * sum_qx > best * sum_q2 {
            fit = Fit { scale: sum_qx / sum_q2, points };
            best = fit.scale * sum_qx;
            is_between = is_new_between;
        }
    }
    let is_any_between = tries.refine == Refine::All || is_between.contains(&true);
    if is_any_between && fit.scale > 0.0 {
        let inverse = 1.0 / fit.scale;
        for group in 0..N {
            if tries.refine != Refine::Between || is_between[group] {
                fit.points[group] = place(grid, &x[group], &roots[group], inverse, fit.scale).0;
            }
        }
        let (sum_qx, sum_q2) = sums(grid, x, weights, &fit.points);
        let scale = sum_qx / sum_q2;
        if sum_q2 > 0.0 && !scale.is_nan() {
            fit.scale = scale;
        }
    }
    fit
}

/// The point of a group, and true if it was chosen among neighbors.
#[inline(always)]
fn place<const DIM: usize>(
    grid: &Codebook<DIM>,
    x: &[f32; DIM],
    roots: &[f32; DIM],
    inverse: f32,
    scale: f32,
) -> (u16, bool) {
    let codes = x.map(|x| nearest_int(0.5 * (inverse * x - 1.0)).clamp(0, grid.max_code()) as u8);
    match grid.place(&codes) {
        Place::Point(point_idx) => (point_idx, false),
        Place::Between(neighbors) => (nearest(grid, neighbors, x, roots, scale), true),
    }
}

/// The first of the nearest points; the first of all if no distance is finite.
#[inline(always)]
fn nearest<const DIM: usize>(
    grid: &Codebook<DIM>,
    neighbors: &[u16],
    x: &[f32; DIM],
    roots: &[f32; DIM],
    scale: f32,
) -> u16 {
    let (mut best, mut nearest) = (f32::MAX, neighbors[0]);
    for &point_idx in neighbors {
        let mut distance = 0.0_f32;
        for ((code, x), root) in grid.point(point_idx).iter().zip(x).zip(roots) {
            let difference = scale * magnitude(*code) - x;
            distance += root * difference * difference;
        }
        if distance < best {
            best = distance;
            nearest = point_idx;
        }
    }
    nearest
}

/// The weighted sums of `q x` and `q^2`, in order.
#[inline(always)]
fn sums<const DIM: usize, const N: usize>(
    grid: &Codebook<DIM>,
    x: &[[f32; DIM]; N],
    weights: &[[f32; DIM]; N],
    points: &[u16; N],
) -> (f32, f32) {
    let (mut sum_qx, mut sum_q2) = (0.0_f32, 0.0_f32);
    for ((x, weights), point_idx) in x.iter().zip(weights).zip(points) {
        for ((code, x), w) in grid.point(*point_idx).iter().zip(x).zip(weights) {
            let q = magnitude(*code);
            sum_qx += w * x * q;
            sum_q2 += w * q * q;
        }
    }
    (sum_qx, sum_q2)
}

/// The value of a code under a scale of one.
#[inline(always)]
pub(crate) fn magnitude(code: u8) -> f32 {
    f32::from(2 * code + 1)
}

/// The code of a scale that is stored as `d * (2 l + 1)`, like the codes of weights.
pub(crate) fn scale_code(scale: f32, inverse: f32, max_code: i32) -> u8 {
    nearest_int(0.5 * (inverse * scale - 1.0)).clamp(0, max_code) as u8
}

/// The largest of some numbers.
pub(crate) fn max(x: &[f32]) -> f32 {
    x.iter().copied().fold(f32::NEG_INFINITY, |max, x| if max > x { max } else { x })
}

/// The numbers of a sub-block as `N` groups of `DIM`.
pub(crate) fn groups<const DIM: usize, const N: usize>(x: &[f32]) -> &[[f32; DIM]; N] {
    x.as_chunks::<DIM>().0.try_into().expect("a sub-block is a whole number of groups")
}

/// Writes the scales of a super-block as two 4-bit codes per byte, the first one lower.
///
/// * `max_scale`: the largest scale, which gets the largest code
pub(crate) fn write_scale_codes(scales: &[f32], max_scale: f32, out: &mut [u8]) {
    let inverse = 1.0 / (max_scale / 31.0);
    for (byte, scales) in out.iter_mut().zip(scales.as_chunks::<2>().0) {
        let [lower, upper] = scales.map(|scale| scale_code(scale, inverse, 15));
        *byte = lower | upper << 4;
    }
}

/// The scale of a sub-block of IQ2_XS and IQ2_S, from the codes of [`write_scale_codes`].
pub(crate) fn decode_scale(d: f32, codes: &[u8], sub: usize) -> f32 {
    let code = codes[sub / 2] >> (4 * (sub % 2)) & 15;
    d * (0.5 + f32::from(code)) * 0.25
}

/// The weights of a point of an IQ2 codec.
pub(crate) fn decode_2_bit(codes: &[u8; SIGNED], scale: f32, signs: u8, out: &mut [f32; SIGNED]) {
    const VALUES: [f32; 3] = [8.0, 25.0, 43.0];
    for (i, (out, code)) in out.iter_mut().zip(codes).enumerate() {
        *out = scale * VALUES[usize::from(*code)] * sign(signs, i);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_split_and_join() {
        let x = [1.0, -2.0, 3.0, -4.0, 5.0, -6.0, 7.0, -0.0];
        let (magnitudes, signs) = split_signs(&x);
        assert_eq!((magnitudes, signs), ([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 0.0], 0b10_1010));
        assert!(magnitudes.iter().enumerate().all(|(i, magnitude)| magnitude * sign(signs, i) == x[i]));
    }

    #[test]
    fn the_least_important_sign_makes_the_number_even() {
        let x = [1.0, -2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0];
        let mut weights = [1.0; 8];
        assert_eq!(split_even_signs(&x, &weights), ([-1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0], 0b11));
        weights[7] = 0.0;
        let (magnitudes, signs) = split_even_signs(&x, &weights);
        assert_eq!((magnitudes[7], signs, even_signs(signs)), (-8.0, 0b10, 0b1000_0010));
    }
}
