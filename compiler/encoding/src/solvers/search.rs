//! Searches for the scale and bias with the least weighted squared error. Shared by solvers; not a solver.
//!
//! It starts from the choice of the grid's default solver, and tries slightly narrower or wider ranges: codes are
//! rounded, scale and bias are fitted to them by least squares and rounded to their stored type, and codes are rounded
//! again. The first choice with the least error wins, so the initial one is kept if nothing is better, and the error
//! never exceeds its error.
//!
//! Sums are taken in eight lanes of f64 and folded by halves.

use std::array;

use mc_tensor::convert;
use mc_tensor::dtype::DType;

use crate::grids::grid::Grid;
use crate::solvers::solver::{GroupMut, Solved, Weights};
use crate::solvers::{absmax, nearest};

/// The ranges to try, as fractions of the initial one. Picked by gut feeling: with few bits, outliers are best cut by
/// up to a half, and rounding may favor a slightly wider range.
const SHARES: std::ops::RangeInclusive<i32> = -20..=2;

/// Number of steps of [`SHARES`] in a whole range.
const STEPS: f32 = 40.0;

/// Number of fits of scale and bias to the codes per range.
const N_FITS: usize = 2;

const N_LANES: usize = 8;

/// Fills in a row. `weights.importance` weights the errors; without it all are equal.
pub(crate) fn solve(grid: &Grid, weights: &Weights<'_>, solved: &mut Solved) {
    if grid.has_bias {
        nearest::solve(grid, weights, solved);
    } else {
        absmax::solve(grid, weights, solved);
    }
    let mut search = Search::new(grid, weights.scale_dtype, grid.group_len(weights.x.len()));
    solved.each_group(grid, weights, |group| search.improve(group));
}

/// Scale and bias of a group.
#[derive(Clone, Copy)]
struct Line {
    scale: f32,
    bias: f32,
}

/// The candidates for a group, with buffers.
struct Search<'a> {
    grid: &'a Grid,
    dtype: DType,
    importance: Vec<f32>,
    scaled: Vec<f32>,
    codes: Vec<i32>,
    fitted_codes: Vec<i32>,
    levels: Vec<f32>,
}

impl<'a> Search<'a> {
    fn new(grid: &'a Grid, dtype: DType, len: usize) -> Self {
        let (importance, scaled, levels) = (vec![1.0; len], vec![0.0; len], vec![0.0; len]);
        Self { grid, dtype, importance, scaled, codes: vec![0; len], fitted_codes: vec![0; len], levels }
    }

    fn improve(&mut self, group: GroupMut<'_>) {
        let GroupMut { x, importance, codes, scale, bias } = group;
        if let Some(importance) = importance {
            self.importance.copy_from_slice(importance);
        }
        let plain = Line { scale: *scale, bias: *bias };
        let mut best = plain.rounded(self.dtype);
        self.codes.copy_from_slice(codes);
        let mut least = self.error(x, best);
        let center = center(self.grid, x);
        self.fitted_codes.fill(i32::MIN);
        for share in SHARES {
            let mut line = plain.narrowed(1.0 + share as f32 / STEPS, center, self.grid.has_bias);
            for _ in 0..N_FITS {
                self.round(x, line);
                // The same codes have the same fit, which was already tried.
                let Some(fitted) = (self.codes != self.fitted_codes).then(|| self.fit(x)).flatten() else {
                    break;
                };
                line = fitted.rounded(self.dtype);
                if !line.is_usable() {
                    break;
                }
                self.round(x, line);
                let found = self.error(x, line);
                if found < least {
                    (best, least) = (line, found);
                    codes.copy_from_slice(&self.codes);
                }
            }
        }
        (*scale, *bias) = (best.scale, best.bias);
    }

    fn round(&mut self, x: &[f32], line: Line) {
        for (scaled, x) in self.scaled.iter_mut().zip(x) {
            *scaled = (x - line.bias) / line.scale;
        }
        (self.grid.nearest)(&self.scaled, &mut self.codes);
    }

    /// The weighted squared error of the codes.
    fn error(&mut self, x: &[f32], line: Line) -> f64 {
        (self.grid.levels)(&self.codes, &mut self.levels);
        let [error] = sums(x, &self.levels, &self.importance, |x, level, weight| {
            let difference = f64::from(line.scale * level + line.bias) - f64::from(x);
            [weight * difference * difference]
        });
        error
    }

    /// Scale and bias with the least weighted squared error for the codes; `None` if they are not determined.
    fn fit(&mut self, x: &[f32]) -> Option<Line> {
        self.fitted_codes.copy_from_slice(&self.codes);
        (self.grid.levels)(&self.codes, &mut self.levels);
        let [w, wq, wqq, wx, wxq] = sums(x, &self.levels, &self.importance, |x, level, weight| {
            let (x, q) = (f64::from(x), f64::from(level));
            [weight, weight * q, weight * q * q, weight * x, weight * x * q]
        });
        if !self.grid.has_bias {
            return (wqq > 0.0).then(|| Line { scale: (wxq / wqq) as f32, bias: 0.0 });
        }
        let determinant = w * wqq - wq * wq;
        // If all codes are equal, only a rounding error remains, which may be negative.
        (determinant > 1e-9 * w * wqq).then(|| Line {
            scale: ((w * wxq - wq * wx) / determinant) as f32,
            bias: ((wqq * wx - wq * wxq) / determinant) as f32,
        })
    }
}

impl Line {
    /// Rounded to the stored type.
    fn rounded(self, dtype: DType) -> Self {
        let mut both = [self.scale, self.bias];
        convert::round_through(dtype, &mut both);
        Self { scale: both[0], bias: both[1] }
    }

    /// The levels contracted around the center of the weights.
    fn narrowed(self, share: f32, center: f32, has_bias: bool) -> Self {
        let bias = if has_bias { center + (self.bias - center) * share } else { 0.0 };
        Self { scale: self.scale * share, bias }
    }

    fn is_usable(self) -> bool {
        self.scale != 0.0 && self.scale.is_finite() && self.bias.is_finite()
    }
}

/// The middle between the smallest and the largest weight; zero on a grid without a bias.
fn center(grid: &Grid, x: &[f32]) -> f32 {
    if !grid.has_bias {
        return 0.0;
    }
    let (lo, hi) = x.iter().fold((f32::INFINITY, f32::NEG_INFINITY), |(lo, hi), x| (lo.min(*x), hi.max(*x)));
    0.5 * lo + 0.5 * hi
}

/// Sums of terms of weight, level and importance, column by column in lanes.
#[inline(always)]
fn sums<const N: usize>(
    x: &[f32],
    levels: &[f32],
    importance: &[f32],
    terms: impl Fn(f32, f32, f64) -> [f64; N],
) -> [f64; N] {
    let mut lanes = [[0.0_f64; N_LANES]; N];
    let (x, x_rest) = x.as_chunks::<N_LANES>();
    let (levels, levels_rest) = levels.as_chunks::<N_LANES>();
    let (importance, importance_rest) = importance.as_chunks::<N_LANES>();
    for ((x, levels), importance) in x.iter().zip(levels).zip(importance) {
        for lane in 0..N_LANES {
            let terms = terms(x[lane], levels[lane], f64::from(importance[lane]));
            for (lanes, term) in lanes.iter_mut().zip(terms) {
                lanes[lane] += term;
            }
        }
    }
    for (lane, ((x, level), weight)) in x_rest.iter().zip(levels_rest).zip(importance_rest).enumerate() {
        for (lanes, term) in lanes.iter_mut().zip(terms(*x, *level, f64::from(*weight))) {
            lanes[lane] += term;
        }
    }
    lanes.map(|lanes| {
        let quarters: [f64; 4] = array::from_fn(|lane| lanes[lane] + lanes[lane + 4]);
        (quarters[0] + quarters[2]) + (quarters[1] + quarters[3])
    })
}
