//! The search for a scale and a minimum, a group of numbers in every lane.
//!
//! `G` registers of groups are searched side by side: the sums of one group wait for each other, those of several do not.

use crate::lanes::Simd;
use crate::search::{Deviation, Walk};
use crate::search_lanes::code_near_zero;

/// What a search found for the groups of one register.
#[derive(Clone, Copy)]
pub(crate) struct Found<S: Simd> {
    /// Scales.
    pub(crate) scale: S::F,
    /// Minima.
    pub(crate) min: S::F,
    /// The codes are `inverse * (x - origin)`, rounded and limited.
    pub(crate) inverse: S::F,
    /// See `inverse`.
    pub(crate) origin: S::F,
}

/// [`crate::search::affine`]; the codes follow from what [`Found`] says.
#[inline(always)]
pub(crate) fn affine<S: Simd, const N: usize, const G: usize>(
    x: &[[S::F; N]; G],
    weights: &[[S::F; N]; G],
    walk: Walk,
) -> [Found<S>; G] {
    let zero = S::splat(0.0);
    let n_max = S::splat(walk.n_max as f32);
    let (mut low, mut high) = ([zero; G], [zero; G]);
    let (mut sum_w, mut sum_x) = ([zero; G], [zero; G]);
    for g in 0..G {
        low[g] = x[g][0];
        high[g] = x[g][0];
        sum_w[g] = weights[g][0];
        sum_x[g] = sum_w[g] * x[g][0];
    }
    for i in 1..N {
        for g in 0..G {
            low[g] = S::min(x[g][i], low[g]);
            high[g] = S::max(x[g][i], high[g]);
            sum_w[g] = sum_w[g] + weights[g][i];
            sum_x[g] = sum_x[g] + weights[g][i] * x[g][i];
        }
    }
    let (mut scale, mut min, mut best_error) = ([zero; G], [zero; G], [zero; G]);
    let mut is_flat = [S::lt(zero, zero); G];
    let mut codes = [[zero; N]; G];
    let mut inverse = [zero; G];
    for g in 0..G {
        min[g] = S::select(S::lt(zero, low[g]), zero, low[g]);
        is_flat[g] = S::le(high[g], min[g]);
        inverse[g] = n_max / (high[g] - min[g]);
        scale[g] = S::splat(1.0) / inverse[g];
    }
    let first_min = min;
    let (mut best_inverse, mut origin) = (inverse, min);
    choose::<S, N, G>(
        x,
        &inverse,
        &min,
        walk.n_max,
        &is_far::<S, G>(&low, &high, &inverse, &min, &is_flat),
        &mut codes,
    );
    errors::<S, N, G>(x, weights, &codes, &scale, &min, walk.deviation, &mut best_error);
    for is in 0..=walk.n_steps {
        let numerator = S::splat(walk.start + walk.step * is as f32 + walk.n_max as f32);
        for g in 0..G {
            inverse[g] = numerator / (high[g] - min[g]);
        }
        let is_far = is_far::<S, G>(&low, &high, &inverse, &min, &is_flat);
        choose::<S, N, G>(x, &inverse, &min, walk.n_max, &is_far, &mut codes);
        let (mut sum_l, mut sum_l2, mut sum_xl) = ([zero; G], [zero; G], [zero; G]);
        for i in 0..N {
            for g in 0..G {
                let l = codes[g][i];
                let wl = weights[g][i] * l;
                sum_l[g] = sum_l[g] + wl;
                sum_l2[g] = sum_l2[g] + wl * l;
                sum_xl[g] = sum_xl[g] + wl * x[g][i];
            }
        }
        let mut is_possible = is_flat;
        let (mut this_scale, mut this_min, mut error) = ([zero; G], [zero; G], [zero; G]);
        for g in 0..G {
            let determinant = sum_w[g] * sum_l2[g] - sum_l[g] * sum_l[g];
            is_possible[g] = S::lt(zero, determinant);
            this_scale[g] = (sum_w[g] * sum_xl[g] - sum_x[g] * sum_l[g]) / determinant;
            this_min[g] = (sum_l2[g] * sum_x[g] - sum_l[g] * sum_xl[g]) / determinant;
            let is_above = S::lt(zero, this_min[g]);
            if S::any(is_above) {
                this_scale[g] = S::select(is_above, sum_xl[g] / sum_l2[g], this_scale[g]);
                this_min[g] = S::select(is_above, zero, this_min[g]);
            }
        }
        errors::<S, N, G>(x, weights, &codes, &this_scale, &this_min, walk.deviation, &mut error);
        for g in 0..G {
            let is_better = is_possible[g] & S::lt(error[g], best_error[g]);
            best_error[g] = S::select(is_better, error[g], best_error[g]);
            scale[g] = S::select(is_better, this_scale[g], scale[g]);
            best_inverse[g] = S::select(is_better, inverse[g], best_inverse[g]);
            origin[g] = S::select(is_better, min[g], origin[g]);
            min[g] = S::select(is_better, this_min[g], min[g]);
        }
    }
    // A flat group has codes of zero.
    let mut found = [Found { scale: zero, min: zero, inverse: zero, origin: zero }; G];
    for g in 0..G {
        found[g].scale = S::select(is_flat[g], zero, scale[g]);
        found[g].min = S::neg(S::select(is_flat[g], first_min[g], min[g]));
        found[g].inverse = S::select(is_flat[g], zero, best_inverse[g]);
        found[g].origin = S::select(is_flat[g], zero, origin[g]);
    }
    found
}

/// Whether a register has a number too far from its minimum for [`code_near_zero`]; rounding keeps order, so that the
/// least and the greatest of a group tell.
#[inline(always)]
fn is_far<S: Simd, const G: usize>(
    low: &[S::F; G],
    high: &[S::F; G],
    inverse: &[S::F; G],
    min: &[S::F; G],
    is_flat: &[S::M; G],
) -> [bool; G] {
    let limit = S::splat(2_097_152.0);
    let mut is_far = [false; G];
    for g in 0..G {
        let is_near = S::le(S::abs(inverse[g] * (low[g] - min[g])), limit)
            & S::le(S::abs(inverse[g] * (high[g] - min[g])), limit);
        is_far[g] = S::any(!(is_near | is_flat[g]));
    }
    is_far
}

/// Codes, as numbers; of flat groups any.
#[inline(always)]
fn choose<S: Simd, const N: usize, const G: usize>(
    x: &[[S::F; N]; G],
    inverse: &[S::F; G],
    min: &[S::F; G],
    n_max: i32,
    is_far: &[bool; G],
    codes: &mut [[S::F; N]; G],
) {
    for g in 0..G {
        if is_far[g] {
            for i in 0..N {
                let code = S::nearest_int(inverse[g] * (x[g][i] - min[g]));
                codes[g][i] = S::to_f(S::clamp_i(code, 0, n_max));
            }
        } else {
            for i in 0..N {
                codes[g][i] = code_near_zero::<S>(inverse[g] * (x[g][i] - min[g]), 0, n_max);
            }
        }
    }
}

/// Weighted deviations, summed in order.
#[inline(always)]
fn errors<S: Simd, const N: usize, const G: usize>(
    x: &[[S::F; N]; G],
    weights: &[[S::F; N]; G],
    codes: &[[S::F; N]; G],
    scale: &[S::F; G],
    min: &[S::F; G],
    deviation: Deviation,
    error: &mut [S::F; G],
) {
    for i in 0..N {
        for g in 0..G {
            let difference = scale[g] * codes[g][i] + min[g] - x[g][i];
            let deviation = match deviation {
                Deviation::Absolute => S::abs(difference),
                Deviation::Squared => difference * difference,
            };
            error[g] = error[g] + weights[g][i] * deviation;
        }
    }
}
