//! The searches of [`crate::search`], with one group of numbers per lane.
//!
//! Every lane performs the same operations in the same order; where the scalar code leaves a loop early, a lane stops
//! changing. Each function names its scalar counterpart, and `tests/paths.rs` checks that the bytes are equal.

use crate::lanes::Simd;

pub(crate) mod affine;
pub(crate) mod positive;
pub(crate) mod rounding;
pub(crate) mod symmetric;

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
