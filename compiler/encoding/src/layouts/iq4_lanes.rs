//! The searches of [`crate::layouts::iq4`] in lanes: one sub-block per lane for the scales, then one weight per lane
//! for the codes.
//!
//! The nearest value is looked up: a bucket contains at most one border between two values, so a single comparison
//! decides.

use crate::lanes::{MAX_LANES, Simd};
use crate::layouts::iq4::{N_TRIES, SUB_LEN, VALUES};
use crate::search::GROUP_MAX_EPS;
use crate::search::lanes::{sum_of_squares, weigh};
use crate::search::super_blocks::{LEN, MAX_SUBS, WINDOW, Window};

const N_BUCKETS: usize = 32;
/// The width of a bucket. Borders are at least 11.5 apart, and nothing within `+-134` is outside the buckets.
const WIDTH: f32 = 9.0;
/// Numbers of at least this magnitude are beyond all borders.
const LIMIT: f32 = 130.0;
/// Moves the bucket index into the lowest bits of a number.
const MAGIC: f32 = 12_582_912.0 + 16.0;

/// By bucket: its border, and the values below and above.
struct Buckets {
    borders: [f32; N_BUCKETS],
    below: [f32; N_BUCKETS],
    above: [f32; N_BUCKETS],
    code_below: [i32; N_BUCKETS],
}

const BUCKETS: Buckets = buckets();

const fn buckets() -> Buckets {
    let mut buckets = Buckets {
        borders: [f32::INFINITY; N_BUCKETS],
        below: [0.0; N_BUCKETS],
        above: [0.0; N_BUCKETS],
        code_below: [0; N_BUCKETS],
    };
    let mut bucket = 0;
    while bucket < N_BUCKETS {
        // Slightly wider than the bucket, for numbers that are rounded into it.
        let middle = (bucket as f32 - 16.0) * WIDTH;
        let (start, end) = (middle - 0.51 * WIDTH, middle + 0.51 * WIDTH);
        let mut code = 0;
        while code < 15 && border(code) < start {
            code += 1;
        }
        if code < 15 && border(code) <= end {
            buckets.borders[bucket] = border(code);
            buckets.above[bucket] = VALUES[code + 1];
        }
        buckets.below[bucket] = VALUES[code];
        buckets.code_below[bucket] = code as i32;
        bucket += 1;
    }
    buckets
}

/// From this number on, the upper of two values is the nearer one: the difference between it and a nearby number is
/// exact.
const fn border(code: usize) -> f32 {
    0.5 * (VALUES[code] + VALUES[code + 1])
}

/// The value nearest to a number within `+-134`: `VALUES[nearest_code(x)]`.
#[inline(always)]
fn nearest_value<S: Simd>(x: S::F) -> S::F {
    let bucket = S::bits(x * S::splat(1.0 / WIDTH) + S::splat(MAGIC));
    let is_below = S::lt(x, S::lookup::<N_BUCKETS>(&BUCKETS.borders, bucket));
    let below = S::lookup::<N_BUCKETS>(&BUCKETS.below, bucket);
    S::select(is_below, below, S::lookup::<N_BUCKETS>(&BUCKETS.above, bucket))
}

/// [`crate::layouts::iq4::nearest_code`].
#[inline(always)]
fn nearest_code<S: Simd>(x: S::F) -> S::I {
    // This order makes NaN count as large.
    let x = S::max(S::min(x, S::splat(LIMIT)), S::splat(-LIMIT));
    let bucket = S::bits(x * S::splat(1.0 / WIDTH) + S::splat(MAGIC));
    let is_below = S::lt(x, S::lookup::<N_BUCKETS>(&BUCKETS.borders, bucket));
    let below = S::lookup_i::<N_BUCKETS>(&BUCKETS.code_below, bucket);
    S::select_i(is_below, below, below + S::splat_i(1))
}

/// The scales of all sub-blocks of a window, in order.
///
/// * `sigma2`: the mean square of every super-block; if absent, every sub-block uses its own
#[inline(always)]
pub(crate) fn scales<S: Simd>(
    window: &Window<'_>,
    sigma2: Option<&[f32; WINDOW]>,
    scales: &mut [f32; WINDOW * MAX_SUBS],
) {
    for first in (0..window.x.len() / SUB_LEN).step_by(S::N) {
        let (starts, cols) = window.starts::<S>(first, SUB_LEN);
        let x = S::columns::<SUB_LEN>(window.x, &starts);
        let weights = match window.importance {
            Some(importance) => {
                let importance = S::columns::<SUB_LEN>(importance, &cols);
                let sigma2 = match sigma2 {
                    Some(sigma2) => {
                        let mut of_lanes = [0.0; MAX_LANES];
                        for lane in 0..S::N {
                            of_lanes[lane] = sigma2[starts[lane] / LEN];
                        }
                        S::load(&of_lanes)
                    }
                    None => sum_of_squares::<S, SUB_LEN>(&x) * S::splat(2.0 / SUB_LEN as f32),
                };
                weigh::<S, SUB_LEN>(&x, &importance, sigma2)
            }
            None => {
                let mut weights = x;
                for weight in &mut weights {
                    *weight = *weight * *weight;
                }
                weights
            }
        };
        S::store(scale::<S>(&x, &weights), &mut scales[first..]);
    }
}

/// [`crate::layouts::iq4::scale`].
#[inline(always)]
fn scale<S: Simd>(x: &[S::F; SUB_LEN], weights: &[S::F; SUB_LEN]) -> S::F {
    let zero = S::splat(0.0);
    let (mut max, mut abs_max) = (zero, zero);
    for value in x {
        let abs = S::abs(*value);
        let is_greater = S::lt(abs_max, abs);
        abs_max = S::select(is_greater, abs, abs_max);
        max = S::select(is_greater, *value, max);
    }
    let is_zero = S::lt(abs_max, S::splat(GROUP_MAX_EPS));
    let inverse = S::splat(1.0) / (S::neg(max) / S::splat(VALUES[0]));
    let (sum_qx, sum_q2) = sums::<S>(x, weights, inverse);
    let mut scale = S::select(S::lt(zero, sum_q2), sum_qx / sum_q2, zero);
    let mut best = scale * sum_qx;
    for try_idx in -N_TRIES..=N_TRIES {
        let (sum_qx, sum_q2) = sums::<S>(x, weights, S::splat(try_idx as f32 + VALUES[0]) / max);
        let is_better = S::lt(zero, sum_q2) & S::lt(best * sum_q2, sum_qx * sum_qx);
        scale = S::select(is_better, sum_qx / sum_q2, scale);
        best = S::select(is_better, scale * sum_qx, best);
    }
    S::select(is_zero, zero, scale)
}

/// The weighted sums of `q x` and `q^2`, in order.
#[inline(always)]
fn sums<S: Simd>(x: &[S::F; SUB_LEN], weights: &[S::F; SUB_LEN], inverse: S::F) -> (S::F, S::F) {
    let (mut sum_qx, mut sum_q2) = (S::splat(0.0), S::splat(0.0));
    for i in 0..SUB_LEN {
        let q = nearest_value::<S>(inverse * x[i]);
        let wq = weights[i] * q;
        sum_qx = sum_qx + wq * x[i];
        sum_q2 = sum_q2 + wq * q;
    }
    (sum_qx, sum_q2)
}

/// [`crate::layouts::iq4::write_codes`].
#[inline(always)]
pub(crate) fn write_codes<S: Simd>(x: &[f32; SUB_LEN], inverse: f32, out: &mut [u8]) {
    let inverse = S::splat(inverse);
    for first in (0..SUB_LEN / 2).step_by(S::N) {
        let lower = nearest_code::<S>(inverse * S::load(&x[first..]));
        let upper = nearest_code::<S>(inverse * S::load(&x[SUB_LEN / 2 + first..]));
        S::store_bytes(lower | S::shl::<4>(upper), &mut out[first..]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lanes::portable::Portable;
    use crate::layouts::iq4;

    #[test]
    fn buckets_find_the_nearest_value() {
        type Lane = Portable<1>;
        let mut numbers = vec![f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1e30, -1e30];
        for near in -270..=270 {
            let middle = near as f32 * 0.5;
            numbers.extend([middle.next_down().next_down(), middle.next_down(), middle, middle.next_up()]);
        }
        for bucket in 0..=N_BUCKETS {
            let edge = (bucket as f32 - 16.5) * WIDTH;
            numbers.extend((-9..=9).map(|ulps| f32::from_bits(edge.to_bits().wrapping_add_signed(ulps))));
        }
        for number in numbers {
            let expected = iq4::nearest_code(number);
            let mut found = [0; 1];
            Lane::store_i(nearest_code::<Lane>(Lane::splat(number)), &mut found);
            assert_eq!(found, [i32::from(expected)], "{number}");
            if number.abs() <= 134.0 {
                let mut found = [0.0; 1];
                Lane::store(nearest_value::<Lane>(Lane::splat(number)), &mut found);
                assert_eq!(found, [VALUES[usize::from(expected)]], "{number}");
            }
        }
    }
}
