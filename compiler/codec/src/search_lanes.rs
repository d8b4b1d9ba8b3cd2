//! The searches of [`crate::search`], a group of numbers in every lane.
//!
//! Lane for lane the same operations in the same order; where the scalar code leaves a loop early, a lane stops
//! changing. Each function names its twin, and `tests/paths.rs` holds the bytes of both equal.

use crate::lanes::Simd;

pub(crate) mod affine;
pub(crate) mod positive;
pub(crate) mod symmetric;

/// 1.5 * 2^23: added to a number near zero, it leaves the nearest whole number in the lower bits.
const ROUNDER: f32 = 12_582_912.0;

/// Codes of numbers under 2^22, rounded to nearest and limited; those of others are any.
///
/// There it is [`crate::search::nearest_int`], limited, and as f32.
#[inline(always)]
pub(crate) fn code_near_zero<S: Simd>(value: S::F, low: i32, high: i32) -> S::F {
    let rounder = ROUNDER.to_bits().cast_signed();
    let bits = S::clamp_i(S::bits(value + S::splat(ROUNDER)), rounder + low, rounder + high);
    S::from_bits(bits) - S::splat(ROUNDER)
}

/// [`crate::search::weigh`].
#[inline(always)]
pub(crate) fn weigh<S: Simd, const N: usize>(
    x: &[S::F; N],
    importance: &[S::F; N],
    sigma2: S::F,
) -> [S::F; N] {
    let mut weights = [S::splat(0.0); N];
    for i in 0..N {
        weights[i] = importance[i] * S::sqrt(sigma2 + x[i] * x[i]);
    }
    weights
}

/// [`crate::search::sum_of_squares`] of a group.
#[inline(always)]
pub(crate) fn sum_of_squares<S: Simd, const N: usize>(x: &[S::F; N]) -> S::F {
    let mut sum = S::splat(0.0);
    for value in x {
        sum = sum + *value * *value;
    }
    sum
}

/// The sum of a group, in order.
#[inline(always)]
pub(crate) fn sum<S: Simd, const N: usize>(x: &[S::F; N]) -> S::F {
    let mut sum = S::splat(0.0);
    for value in x {
        sum = sum + *value;
    }
    sum
}
