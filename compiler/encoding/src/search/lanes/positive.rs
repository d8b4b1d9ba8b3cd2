//! The search for a scale of non-negative codes, with one group of numbers per lane.
//!
//! `G` registers of groups are searched in parallel: the sums of one group depend on each other, those of several do
//! not.

use crate::lanes::Simd;
use crate::search::GROUP_MAX_EPS;

/// [`crate::search::positive`]: scales, and codes as their lower bytes.
#[inline(always)]
pub(crate) fn positive<S: Simd, const N: usize, const G: usize>(
    x: &[[S::F; N]; G],
    n_max: i32,
    weights: &[[S::F; N]; G],
) -> ([S::F; G], [[S::I; N]; G]) {
    let zero = S::splat(0.0);
    let zero_i = S::splat_i(0);
    let mut codes = [[zero_i; N]; G];
    let mut max = [zero; G];
    let mut inverse = [zero; G];
    let (mut sum_lx, mut sum_l2) = ([zero; G], [zero; G]);
    for g in 0..G {
        for value in &x[g] {
            max[g] = S::max(*value, max[g]);
        }
        inverse[g] = first_inverse::<S, N>(&x[g], n_max, &weights[g], max[g]);
        for i in 0..N {
            let (value, w) = (x[g][i], weights[g][i]);
            let code = S::min_i(S::nearest_int(inverse[g] * value), S::splat_i(n_max));
            codes[g][i] = code & S::splat_i(255);
            let l = S::to_f(code);
            sum_lx[g] = sum_lx[g] + w * value * l;
            sum_l2[g] = sum_l2[g] + w * l * l;
        }
    }
    // A lane that a round leaves unchanged stays unchanged in the next rounds.
    for _ in 0..5 {
        let mut is_changed = S::lt(zero, zero);
        for i in 0..N {
            for g in 0..G {
                let (value, w) = (x[g][i], weights[g][i]);
                let l = S::to_f(codes[g][i]);
                let lx = sum_lx[g] - w * value * l;
                let l2 = sum_l2[g] - w * l * l;
                let code = S::min_i(S::nearest_int(value * l2 / lx), S::splat_i(n_max));
                let l = S::to_f(code);
                let new_lx = lx + w * value * l;
                let new_l2 = l2 + w * l * l;
                let is_better = S::lt(zero, lx)
                    & S::lt(zero, l2)
                    & !S::eq_i(code, codes[g][i])
                    & S::lt(sum_lx[g] * sum_lx[g] * new_l2, new_lx * new_lx * sum_l2[g]);
                codes[g][i] = S::select_i(is_better, code & S::splat_i(255), codes[g][i]);
                sum_lx[g] = S::select(is_better, new_lx, sum_lx[g]);
                sum_l2[g] = S::select(is_better, new_l2, sum_l2[g]);
                is_changed = is_changed | is_better;
            }
        }
        if !S::any(is_changed) {
            break;
        }
    }
    let mut scales = [zero; G];
    for g in 0..G {
        let is_zero = S::lt(max[g], S::splat(GROUP_MAX_EPS));
        scales[g] = S::select(S::lt(zero, sum_l2[g]) & !is_zero, sum_lx[g] / sum_l2[g], zero);
        for code in &mut codes[g] {
            *code = S::select_i(is_zero, zero_i, *code);
        }
    }
    (scales, codes)
}

/// The inverse for the first codes.
#[inline(always)]
fn first_inverse<S: Simd, const N: usize>(x: &[S::F; N], n_max: i32, weights: &[S::F; N], max: S::F) -> S::F {
    let mut inverse = S::splat(n_max as f32) / max;
    let mut codes = [S::splat_i(0); N];
    for i in 0..N {
        codes[i] = S::nearest_int(inverse * x[i]) & S::splat_i(255);
    }
    let mut best_error = positive_error::<S, N>(x, weights, inverse, &codes);
    for is in -4..=4 {
        if is == 0 {
            continue;
        }
        let tried = S::splat(0.1 * is as f32 + n_max as f32) / max;
        for i in 0..N {
            codes[i] = S::min_i(S::nearest_int(tried * x[i]), S::splat_i(n_max));
        }
        let error = positive_error::<S, N>(x, weights, tried, &codes);
        let is_better = S::lt(error, best_error);
        best_error = S::select(is_better, error, best_error);
        inverse = S::select(is_better, tried, inverse);
    }
    inverse
}

/// `positive_error` of [`crate::search`].
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
