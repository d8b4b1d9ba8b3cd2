//! The searches for a scale of signed codes, with one group of numbers per lane.
//!
//! `G` registers of groups are searched in parallel: the sums of one group depend on each other, those of several do
//! not.

use crate::lanes::Simd;
use crate::search::GROUP_MAX_EPS;
use crate::search::lanes::rounding::{Reach, Rounding};

/// The result of a search for the groups of one register.
#[derive(Clone, Copy)]
pub(crate) struct Found<S: Simd> {
    /// Scales.
    pub(crate) scale: S::F,
    /// The codes are `inverse * x`, rounded and limited, plus `offset`.
    pub(crate) inverse: S::F,
    /// The limit; zero for a group of zeros, whose codes are stored as 0.
    pub(crate) offset: S::I,
}

impl<S: Simd> Found<S> {
    /// The codes of [`crate::search::symmetric`], for one number of each group.
    #[inline(always)]
    pub(crate) fn code(&self, x: S::F, n_max: i32) -> S::I {
        S::clamp_i(S::nearest_int(self.inverse * x), -n_max, n_max - 1) + self.offset
    }
}

/// The number with the largest magnitude, the first of equal ones, and the magnitude; NaN is ignored.
#[inline(always)]
pub(crate) fn extreme<S: Simd, const N: usize>(x: &[S::F; N]) -> (S::F, S::F) {
    let mut abs_max = S::splat(0.0);
    for value in x {
        abs_max = S::max(S::abs(*value), abs_max);
    }
    let mut max = S::splat(0.0);
    for value in x.iter().rev() {
        max = S::select(S::eq(S::abs(*value), abs_max), *value, max);
    }
    (max, abs_max)
}

/// [`crate::search::symmetric`]; [`Found::code`] computes the codes.
#[inline(always)]
pub(crate) fn symmetric<S: Simd, const N: usize, const G: usize>(
    x: &[[S::F; N]; G],
    n_max: i32,
    weights: &[[S::F; N]; G],
) -> [Found<S>; G] {
    let zero = S::splat(0.0);
    let rounding = Rounding::<S>::new(-n_max, n_max - 1);
    let mut max = [zero; G];
    let mut found = [Found { scale: zero, inverse: zero, offset: S::splat_i(n_max) }; G];
    let mut is_zero = [S::lt(zero, zero); G];
    let mut best = [zero; G];
    let mut weighted = *x;
    for g in 0..G {
        let (extreme, abs_max) = extreme::<S, N>(&x[g]);
        max[g] = extreme;
        is_zero[g] = S::lt(abs_max, S::splat(GROUP_MAX_EPS));
        for i in 0..N {
            weighted[g][i] = weights[g][i] * x[g][i];
        }
    }
    // Several tries at a time, so that their sums do not wait for each other. The number with the largest magnitude
    // becomes `-(n_max + 0.1 is)`, which determines what can exceed the limits.
    let has_table = rounding.table_range().is_some();
    for g in 0..G {
        let inverses = inverses::<S, 4>(n_max, [0, -9, -8, -7], max[g]);
        let reach = if has_table { Reach::Table } else { Reach::NotBelow };
        let sums = sums::<S, N, 4>(&x[g], &weights[g], &weighted[g], &inverses, &rounding, reach);
        let (sum_lx, sum_l2) = sums[0];
        let scale = S::select(S::eq(sum_l2, zero), zero, sum_lx / sum_l2);
        best[g] = scale * sum_lx;
        found[g].scale = scale;
        found[g].inverse = inverses[0];
        for t in 1..4 {
            keep_better::<S>(&mut found[g], &mut best[g], inverses[t], sums[t]);
        }
    }
    for first in [-6, -3, 1, 4, 7] {
        for g in 0..G {
            let inverses = inverses::<S, 3>(n_max, [first, first + 1, first + 2], max[g]);
            let (x, weights, weighted) = (&x[g], &weights[g], &weighted[g]);
            let sums = if has_table {
                sums::<S, N, 3>(x, weights, weighted, &inverses, &rounding, Reach::Table)
            } else if first < 3 {
                sums::<S, N, 3>(x, weights, weighted, &inverses, &rounding, Reach::NotBelow)
            } else {
                sums::<S, N, 3>(x, weights, weighted, &inverses, &rounding, Reach::Near)
            };
            for t in 0..3 {
                keep_better::<S>(&mut found[g], &mut best[g], inverses[t], sums[t]);
            }
        }
    }
    for g in 0..G {
        found[g].scale = S::select(is_zero[g], zero, found[g].scale);
        found[g].inverse = S::select(is_zero[g], zero, found[g].inverse);
        found[g].offset = S::select_i(is_zero[g], S::splat_i(0), found[g].offset);
    }
    found
}

/// The initial inverses of the tries.
#[inline(always)]
fn inverses<S: Simd, const T: usize>(n_max: i32, tries: [i32; T], max: S::F) -> [S::F; T] {
    let mut inverses = [max; T];
    for t in 0..T {
        inverses[t] = S::splat(-(n_max as f32 + 0.1 * tries[t] as f32)) / max;
    }
    inverses
}

/// Keeps a try in the lanes in which it is better than the best one so far.
#[inline(always)]
fn keep_better<S: Simd>(
    found: &mut Found<S>,
    best: &mut S::F,
    inverse: S::F,
    (sum_lx, sum_l2): (S::F, S::F),
) {
    let is_better = S::lt(S::splat(0.0), sum_l2) & S::lt(*best * sum_l2, sum_lx * sum_lx);
    let scale = sum_lx / sum_l2;
    *best = S::select(is_better, scale * sum_lx, *best);
    found.scale = S::select(is_better, scale, found.scale);
    found.inverse = S::select(is_better, inverse, found.inverse);
}

/// `sums` of [`crate::search::symmetric`] for `T` tries; except in a group of zeros, every number is near its code.
#[inline(always)]
fn sums<S: Simd, const N: usize, const T: usize>(
    x: &[S::F; N],
    weights: &[S::F; N],
    weighted: &[S::F; N],
    inverses: &[S::F; T],
    rounding: &Rounding<S>,
    reach: Reach,
) -> [(S::F, S::F); T] {
    let mut sums = [(S::splat(0.0), S::splat(0.0)); T];
    for i in 0..N {
        for t in 0..T {
            let l = rounding.code(inverses[t] * x[i], reach);
            sums[t].0 = sums[t].0 + weighted[i] * l;
            sums[t].1 = sums[t].1 + weights[i] * l * l;
        }
    }
    sums
}

/// [`crate::search::descend`] without the codes: scales.
#[inline(always)]
pub(crate) fn descend<S: Simd, const N: usize, const G: usize>(x: &[[S::F; N]; G], n_max: i32) -> [S::F; G] {
    let zero = S::splat(0.0);
    let rounding = Rounding::<S>::new(-n_max, n_max - 1);
    let (mut sum_lx, mut sum_l2) = ([zero; G], [zero; G]);
    let mut is_zero = [S::lt(zero, zero); G];
    let (mut weights, mut weighted, mut codes) = (*x, *x, *x);
    for g in 0..G {
        let (max, abs_max) = extreme::<S, N>(&x[g]);
        is_zero[g] = S::lt(abs_max, S::splat(GROUP_MAX_EPS));
        let inverse = S::splat(-(n_max as f32)) / max;
        for i in 0..N {
            let value = x[g][i];
            let w = value * value;
            weights[g][i] = w;
            weighted[g][i] = w * value;
            let l = rounding.code(inverse * value, Reach::Near);
            codes[g][i] = l;
            sum_lx[g] = sum_lx[g] + weighted[g][i] * l;
            sum_l2[g] = sum_l2[g] + w * l * l;
        }
    }
    // A lane that a round leaves unchanged stays unchanged in the next rounds; a better code changes one of the sums.
    for _ in 0..5 {
        let (old_lx, old_l2) = (sum_lx, sum_l2);
        for i in 0..N {
            for g in 0..G {
                let (value, w, l) = (x[g][i], weights[g][i], codes[g][i]);
                let lx = sum_lx[g] - weighted[g][i] * l;
                let l2 = sum_l2[g] - w * l * l;
                let code = S::clamp_i(S::nearest_int(value * l2 / lx), -n_max, n_max - 1);
                let code = S::to_f(code);
                let new_lx = lx + weighted[g][i] * code;
                let new_l2 = l2 + w * code * code;
                let is_better = S::lt(zero, lx)
                    & !S::eq(code, l)
                    & S::lt(zero, new_l2)
                    & S::lt(sum_lx[g] * sum_lx[g] * new_l2, new_lx * new_lx * sum_l2[g]);
                codes[g][i] = S::select(is_better, code, l);
                sum_lx[g] = S::select(is_better, new_lx, sum_lx[g]);
                sum_l2[g] = S::select(is_better, new_l2, sum_l2[g]);
            }
        }
        let mut is_same = S::eq(zero, zero);
        for g in 0..G {
            is_same = is_same & S::eq(old_lx[g], sum_lx[g]) & S::eq(old_l2[g], sum_l2[g]);
        }
        if !S::any(!is_same) {
            break;
        }
    }
    let mut scales = [zero; G];
    for g in 0..G {
        let has_scale = S::lt(zero, sum_l2[g]) & !is_zero[g];
        scales[g] = S::select(has_scale, sum_lx[g] / sum_l2[g], zero);
    }
    scales
}
