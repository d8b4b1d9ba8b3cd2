//! The searches of [`crate::search`], a group of numbers in every lane.
//!
//! Lane for lane the same operations in the same order; where the scalar code leaves a loop early, a lane stops
//! changing. Each function names its twin, and `tests/paths.rs` holds the bytes of both equal.

use crate::lanes::Simd;
use crate::search::{Deviation, GROUP_MAX_EPS, Walk};

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

/// [`crate::search::affine`] without the codes: scales and minima.
#[inline(always)]
pub(crate) fn affine<S: Simd, const N: usize>(
    x: &[S::F; N],
    weights: &[S::F; N],
    walk: Walk,
) -> (S::F, S::F) {
    let zero = S::splat(0.0);
    let (mut min, mut max) = (x[0], x[0]);
    let mut sum_w = weights[0];
    let mut sum_x = sum_w * x[0];
    for i in 1..N {
        min = S::min(x[i], min);
        max = S::max(x[i], max);
        sum_w = sum_w + weights[i];
        sum_x = sum_x + weights[i] * x[i];
    }
    min = S::select(S::lt(zero, min), zero, min);
    let is_flat = S::le(max, min);
    let first_min = min;
    let range_max = max;
    let n_max = S::splat(walk.n_max as f32);
    let inverse = n_max / (max - min);
    let mut scale = S::splat(1.0) / inverse;
    let mut best_error = zero;
    for i in 0..N {
        let l = code::<S>(inverse, x[i] - min, walk.n_max);
        best_error = best_error + weights[i] * deviation::<S>(walk.deviation, scale * l + min - x[i]);
    }
    let mut tried = [zero; N];
    for is in 0..=walk.n_steps {
        let inverse = S::splat(walk.start + walk.step * is as f32 + walk.n_max as f32) / (range_max - min);
        let (mut sum_l, mut sum_l2, mut sum_xl) = (zero, zero, zero);
        for i in 0..N {
            let l = code::<S>(inverse, x[i] - min, walk.n_max);
            tried[i] = l;
            let wl = weights[i] * l;
            sum_l = sum_l + wl;
            sum_l2 = sum_l2 + wl * l;
            sum_xl = sum_xl + wl * x[i];
        }
        let determinant = sum_w * sum_l2 - sum_l * sum_l;
        let mut this_scale = (sum_w * sum_xl - sum_x * sum_l) / determinant;
        let mut this_min = (sum_l2 * sum_x - sum_l * sum_xl) / determinant;
        let is_above = S::lt(zero, this_min);
        this_scale = S::select(is_above, sum_xl / sum_l2, this_scale);
        this_min = S::select(is_above, zero, this_min);
        let mut error = zero;
        for i in 0..N {
            let difference = this_scale * tried[i] + this_min - x[i];
            error = error + weights[i] * deviation::<S>(walk.deviation, difference);
        }
        let is_better = S::lt(zero, determinant) & S::lt(error, best_error);
        best_error = S::select(is_better, error, best_error);
        scale = S::select(is_better, this_scale, scale);
        min = S::select(is_better, this_min, min);
    }
    (S::select(is_flat, zero, scale), S::neg(S::select(is_flat, first_min, min)))
}

#[inline(always)]
fn code<S: Simd>(inverse: S::F, value: S::F, n_max: i32) -> S::F {
    S::to_f(S::clamp_i(S::nearest_int(inverse * value), 0, n_max))
}

#[inline(always)]
fn deviation<S: Simd>(deviation: Deviation, difference: S::F) -> S::F {
    match deviation {
        Deviation::Absolute => S::abs(difference),
        Deviation::Squared => difference * difference,
    }
}

/// [`crate::search::positive`]: scales, and codes as their lower bytes.
#[inline(always)]
pub(crate) fn positive<S: Simd, const N: usize>(
    x: &[S::F; N],
    n_max: i32,
    weights: &[S::F; N],
) -> (S::F, [S::I; N]) {
    let zero = S::splat(0.0);
    let mut max = zero;
    for value in x {
        max = S::max(*value, max);
    }
    let is_zero = S::lt(max, S::splat(GROUP_MAX_EPS));
    let mut inverse = S::splat(n_max as f32) / max;
    let mut first = [S::splat_i(0); N];
    for i in 0..N {
        first[i] = S::nearest_int(inverse * x[i]) & S::splat_i(255);
    }
    let mut best_error = positive_error::<S, N>(x, weights, inverse, &first);
    for is in -4..=4 {
        if is == 0 {
            continue;
        }
        let tried = S::splat(0.1 * is as f32 + n_max as f32) / max;
        let mut codes = [S::splat_i(0); N];
        for i in 0..N {
            codes[i] = S::min_i(S::nearest_int(tried * x[i]), S::splat_i(n_max));
        }
        let error = positive_error::<S, N>(x, weights, tried, &codes);
        let is_better = S::lt(error, best_error);
        best_error = S::select(is_better, error, best_error);
        inverse = S::select(is_better, tried, inverse);
    }
    let mut codes = [S::splat_i(0); N];
    let (mut sum_lx, mut sum_l2) = (zero, zero);
    for i in 0..N {
        let code = S::min_i(S::nearest_int(inverse * x[i]), S::splat_i(n_max));
        codes[i] = code & S::splat_i(255);
        let l = S::to_f(code);
        sum_lx = sum_lx + weights[i] * x[i] * l;
        sum_l2 = sum_l2 + weights[i] * l * l;
    }
    // A lane that a round leaves unchanged stays so in the next ones.
    for _ in 0..5 {
        let mut is_changed = S::lt(zero, zero);
        for i in 0..N {
            let l = S::to_f(codes[i]);
            let lx = sum_lx - weights[i] * x[i] * l;
            let l2 = sum_l2 - weights[i] * l * l;
            let code = S::min_i(S::nearest_int(x[i] * l2 / lx), S::splat_i(n_max));
            let l = S::to_f(code);
            let new_lx = lx + weights[i] * x[i] * l;
            let new_l2 = l2 + weights[i] * l * l;
            let is_better = S::lt(zero, lx)
                & S::lt(zero, l2)
                & !S::eq_i(code, codes[i])
                & S::lt(sum_lx * sum_lx * new_l2, new_lx * new_lx * sum_l2);
            codes[i] = S::select_i(is_better, code & S::splat_i(255), codes[i]);
            sum_lx = S::select(is_better, new_lx, sum_lx);
            sum_l2 = S::select(is_better, new_l2, sum_l2);
            is_changed = is_changed | is_better;
        }
        if !S::any(is_changed) {
            break;
        }
    }
    let scale = S::select(S::lt(zero, sum_l2), sum_lx / sum_l2, zero);
    for code in &mut codes {
        *code = S::select_i(is_zero, S::splat_i(0), *code);
    }
    (S::select(is_zero, zero, scale), codes)
}

#[inline(always)]
fn positive_error<S: Simd, const N: usize>(
    x: &[S::F; N],
    weights: &[S::F; N],
    inverse: S::F,
    codes: &[S::I; N],
) -> S::F {
    let scale = S::splat(1.0) / inverse;
    let mut error = S::splat(0.0);
    for i in 0..N {
        let difference = x[i] - scale * S::to_f(codes[i]);
        error = error + weights[i] * difference * difference;
    }
    error
}
