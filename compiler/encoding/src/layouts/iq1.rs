//! The common part of IQ1_S and IQ1_M: codes 0, 1, 2 for -1, 0, 1, all shifted up or down by an eighth.
//!
//! A sub-block is first searched without the grid: its weights, when sorted, form three runs, one per code, and every
//! pair of borders is tried by sums over the runs. Then each group of eight codes moves to a point of the grid.
//!
//! Source: `quantize_row_iq1_*_impl` of ggml-quants.c. Where those abort because numbers overflow, this takes an
//! arbitrary point and scale.

use crate::codebook::{self, Place};
use crate::lanes::Simd;

/// Number of weights per point.
pub(crate) const GROUP: usize = 8;

/// The values of the codes.
pub(crate) type Values = [f32; 3];
/// Shifted up by an eighth.
pub(crate) const UP: Values = [-0.875, 0.125, 1.125];
/// Shifted down by an eighth.
pub(crate) const DOWN: Values = [-1.125, -0.125, 0.875];

/// The values of the codes, shifted up or down.
pub(crate) fn values(is_down: bool) -> &'static Values {
    if is_down { &DOWN } else { &UP }
}

/// The best scale so far.
pub(crate) struct Best<T> {
    /// The choice with that scale; `None` before the first valid try.
    pub(crate) choice: Option<(f32, T)>,
    score: f32,
}

impl<T> Best<T> {
    /// The state before the first try.
    pub(crate) fn new() -> Self {
        Self { choice: None, score: f32::MIN }
    }

    /// Returns true if any of several tries is better.
    #[inline(always)]
    pub(crate) fn is_any_better<const N: usize>(&self, sum_qx: &[f32; N], sum_q2: &[f32; N]) -> bool {
        let mut is_any = false;
        for (sum_qx, sum_q2) in sum_qx.iter().zip(sum_q2) {
            is_any |= (*sum_q2 > 0.0) & (sum_qx * sum_qx > self.score * sum_q2);
        }
        is_any
    }

    /// Takes a try if it is better, judged by the sums of `q x` and `q^2`.
    #[inline(always)]
    pub(crate) fn offer(&mut self, sum_qx: f32, sum_q2: f32, what: T) {
        if sum_q2 > 0.0 && sum_qx * sum_qx > self.score * sum_q2 {
            let scale = sum_qx / sum_q2;
            if !scale.is_nan() {
                self.choice = Some((scale, what));
                self.score = scale * sum_qx;
            }
        }
    }
}

/// The indices of weights in ascending order of their values, equal ones by index.
pub(crate) fn ascending<const N: usize>(x: &[f32; N]) -> [u8; N] {
    let mut order = std::array::from_fn(|i| i as u8);
    // Insertion sort, because it is stable and the arrays are short.
    for end in 1..N {
        let moved: u8 = order[end];
        let mut at = end;
        while at > 0 && x[usize::from(order[at - 1])] > x[usize::from(moved)] {
            order[at] = order[at - 1];
            at -= 1;
        }
        order[at] = moved;
    }
    order
}

/// The codes of three runs in ascending order; the second starts at `borders.0` and the third at `borders.1`.
///
/// * `is_flipped`: treats the order as descending
pub(crate) fn codes<const N: usize>(order: &[u8; N], borders: (usize, usize), is_flipped: bool) -> [u8; N] {
    let mut codes = [0; N];
    for (rank, i) in order.iter().enumerate() {
        let code = u8::from(rank >= borders.0) + u8::from(rank >= borders.1);
        codes[usize::from(*i)] = if is_flipped { 2 - code } else { code };
    }
    codes
}

/// The points of the groups of a sub-block, and its scale, adjusted if any group was between points.
///
/// * `values`: the values of the codes, by group
pub(crate) fn to_grid<const N: usize>(
    codes: &[[u8; GROUP]; N],
    x: &[[f32; GROUP]; N],
    weights: &[[f32; GROUP]; N],
    values: &[&Values; N],
    scale: f32,
) -> ([u16; N], f32) {
    let mut points = [0; N];
    let mut is_any_between = false;
    for group in 0..N {
        points[group] = match codebook::IQ1.place(&codes[group]) {
            Place::Point(point_idx) => point_idx,
            Place::Between(neighbors) => {
                is_any_between = true;
                nearest(neighbors, &x[group], &weights[group], values[group], scale)
            }
        };
    }
    if !is_any_between {
        return (points, scale);
    }
    let mut sums = Sums::default();
    for group in 0..N {
        sums.add(points[group], &x[group], &weights[group], values[group], 1.0);
    }
    let ratio = sums.scale();
    (points, if sums.qx > 0.0 && sums.q2 > 0.0 && !ratio.is_nan() { ratio } else { scale })
}

/// The first of the nearest points; the first of all if no distance is finite.
fn nearest(neighbors: &[u16], x: &[f32; GROUP], weights: &[f32; GROUP], values: &Values, scale: f32) -> u16 {
    let (mut best, mut nearest) = (f32::MAX, neighbors[0]);
    for &point_idx in neighbors {
        let mut distance = 0.0_f32;
        for ((code, x), w) in codebook::IQ1.point(point_idx).iter().zip(x).zip(weights) {
            let difference = scale * values[usize::from(*code)] - x;
            distance += w * difference * difference;
        }
        if distance < best {
            best = distance;
            nearest = point_idx;
        }
    }
    nearest
}

/// The weighted sums of `q x` and `q^2`, in order.
#[derive(Default)]
pub(crate) struct Sums {
    /// Sum of `q x`.
    pub(crate) qx: f32,
    /// Sum of `q^2`.
    pub(crate) q2: f32,
}

impl Sums {
    /// Adds a group that represents `scale * values[code]`.
    pub(crate) fn add(
        &mut self,
        point_idx: u16,
        x: &[f32; GROUP],
        weights: &[f32; GROUP],
        values: &Values,
        scale: f32,
    ) {
        for ((code, x), w) in codebook::IQ1.point(point_idx).iter().zip(x).zip(weights) {
            let q = values[usize::from(*code)] * scale;
            self.qx += w * q * x;
            self.q2 += w * q * q;
        }
    }

    /// The scale with the least squared error.
    pub(crate) fn scale(&self) -> f32 {
        self.qx / self.q2
    }
}

/// The weights of a point.
pub(crate) fn decode(point_idx: u16, scale: f32, values: &Values, out: &mut [f32; GROUP]) {
    for (out, code) in out.iter_mut().zip(codebook::IQ1.point(point_idx)) {
        *out = scale * values[usize::from(*code)];
    }
}

/// [`decode`] of two points in lanes.
///
/// * `is_down`: true if the values of a point are shifted down
#[inline(always)]
pub(crate) fn decode_pair<S: Simd>(
    points: [u16; 2],
    scale: f32,
    is_down: [bool; 2],
    out: &mut [f32; 2 * GROUP],
) {
    let grid = &*codebook::IQ1;
    let mut codes = [0; 2 * GROUP];
    codes[..GROUP].copy_from_slice(grid.point(points[0]));
    codes[GROUP..].copy_from_slice(grid.point(points[1]));
    let down_bits = 0xff * u32::from(is_down[0]) + 0xff00 * u32::from(is_down[1]);
    let scale = S::splat(scale);
    for first in (0..2 * GROUP).step_by(S::N) {
        let is_down = S::from_mask_bits(down_bits >> first);
        // Adjacent values differ by one, and all of them are exact.
        let lowest = S::select(is_down, S::splat(DOWN[0]), S::splat(UP[0]));
        let values = S::to_f(S::load_bytes(&codes[first..])) + lowest;
        S::store(scale * values, &mut out[first..]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_weights_keep_their_order() {
        assert_eq!(ascending(&[3.0, -1.0, 0.0, -1.0, -0.0, 2.0]), [1, 3, 2, 4, 5, 0]);
    }

    #[test]
    fn borders_split_the_order_into_three_runs() {
        let order = [3, 1, 0, 2];
        assert_eq!(codes(&order, (1, 3), false), [1, 1, 2, 0]);
        assert_eq!(codes(&order, (1, 3), true), [1, 1, 0, 2]);
        assert_eq!(codes(&order, (4, 4), false), [0; 4]);
    }
}
