//! The search for a scale and a minimum, with one group of numbers per lane.
//!
//! `G` registers of groups are searched in parallel: the sums of one group depend on each other, those of several do
//! not.

use crate::lanes::Simd;
use crate::search::lanes::rounding::{Reach, Rounding};
use crate::search::{Deviation, Walk};

/// The result of a search for the groups of one register.
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

/// [`crate::search::affine`]; the codes follow from [`Found`].
#[inline(always)]
pub(crate) fn affine<S: Simd, const N: usize, const G: usize>(
    x: &[[S::F; N]; G],
    weights: &[[S::F; N]; G],
    walk: Walk,
) -> [Found<S>; G] {
    let zero = S::splat(0.0);
    let n_max = S::splat(walk.n_max as f32);
    let rounding = Rounding::<S>::new(0, walk.n_max);
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
    for i in 0..N {
        for g in 0..G {
            codes[g][i] = rounding.code(inverse[g] * (x[g][i] - min[g]), Reach::Any);
        }
    }
    errors::<S, N, G>(x, weights, &codes, &scale, &min, walk.deviation, &mut best_error);
    for is in 0..=walk.n_steps {
        let numerator = S::splat(walk.start + walk.step * is as f32 + walk.n_max as f32);
        for g in 0..G {
            inverse[g] = numerator / (high[g] - min[g]);
        }
        let sums = match reach::<S, G>(&low, &high, &inverse, &min, &is_flat, &rounding) {
            Reach::Table => sums::<S, N, G>(x, weights, &inverse, &min, &rounding, Reach::Table, &mut codes),
            Reach::Any => sums::<S, N, G>(x, weights, &inverse, &min, &rounding, Reach::Any, &mut codes),
            _ => sums::<S, N, G>(x, weights, &inverse, &min, &rounding, Reach::Near, &mut codes),
        };
        let mut is_possible = is_flat;
        let (mut this_scale, mut this_min, mut error) = ([zero; G], [zero; G], [zero; G]);
        for g in 0..G {
            let [sum_l, sum_l2, sum_xl] = sums[g];
            let determinant = sum_w[g] * sum_l2 - sum_l * sum_l;
            is_possible[g] = S::lt(zero, determinant);
            this_scale[g] = (sum_w[g] * sum_xl - sum_x[g] * sum_l) / determinant;
            this_min[g] = (sum_l2 * sum_x[g] - sum_l * sum_xl) / determinant;
            let is_above = S::lt(zero, this_min[g]);
            if S::any(is_above) {
                this_scale[g] = S::select(is_above, sum_xl / sum_l2, this_scale[g]);
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
    // A constant group has codes of zero.
    let mut found = [Found { scale: zero, min: zero, inverse: zero, origin: zero }; G];
    for g in 0..G {
        found[g].scale = S::select(is_flat[g], zero, scale[g]);
        found[g].min = S::neg(S::select(is_flat[g], first_min[g], min[g]));
        found[g].inverse = S::select(is_flat[g], zero, best_inverse[g]);
        found[g].origin = S::select(is_flat[g], zero, origin[g]);
    }
    found
}

/// The largest distance of the numbers of any group from their minimum. Rounding keeps the order, so the minimum and
/// the maximum of a group suffice. Constant groups do not count.
#[inline(always)]
fn reach<S: Simd, const G: usize>(
    low: &[S::F; G],
    high: &[S::F; G],
    inverse: &[S::F; G],
    min: &[S::F; G],
    is_flat: &[S::M; G],
    rounding: &Rounding<S>,
) -> Reach {
    let (mut least, mut greatest) = (S::splat(0.0), S::splat(0.0));
    let mut is_number = !S::lt(least, least);
    for g in 0..G {
        let (a, b) = (inverse[g] * (low[g] - min[g]), inverse[g] * (high[g] - min[g]));
        is_number = is_number & (is_flat[g] | S::eq(a, a) & S::eq(b, b));
        least = S::select(is_flat[g], least, S::min(S::min(a, b), least));
        greatest = S::select(is_flat[g], greatest, S::max(S::max(a, b), greatest));
    }
    if let Some((from, to)) = rounding.table_range()
        && !S::any(!(is_number & S::le(S::splat(from), least) & S::le(greatest, S::splat(to))))
    {
        return Reach::Table;
    }
    let limit = 2_097_152.0;
    if S::any(!(is_number & S::le(S::splat(-limit), least) & S::le(greatest, S::splat(limit)))) {
        Reach::Any
    } else {
        Reach::Near
    }
}

/// Codes, and the weighted sums over them: codes, their squares, their products with the numbers.
#[inline(always)]
fn sums<S: Simd, const N: usize, const G: usize>(
    x: &[[S::F; N]; G],
    weights: &[[S::F; N]; G],
    inverse: &[S::F; G],
    min: &[S::F; G],
    rounding: &Rounding<S>,
    reach: Reach,
    codes: &mut [[S::F; N]; G],
) -> [[S::F; 3]; G] {
    let mut sums = [[S::splat(0.0); 3]; G];
    // The codes come first: they are independent, while the sums depend on each other.
    for g in 0..G {
        for i in 0..N {
            codes[g][i] = rounding.code(inverse[g] * (x[g][i] - min[g]), reach);
        }
    }
    for i in 0..N {
        for g in 0..G {
            let l = codes[g][i];
            let wl = weights[g][i] * l;
            sums[g][0] = sums[g][0] + wl;
            sums[g][1] = sums[g][1] + wl * l;
            sums[g][2] = sums[g][2] + wl * x[g][i];
        }
    }
    sums
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
