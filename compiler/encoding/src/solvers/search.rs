//! A search for the scale and bias of the least weighted squared error. Shared by solvers; not a solver.
//!
//! It starts from what the plain solver of the grid chose, and tries ranges that are a little narrower or wider: codes
//! are rounded, scale and bias are fitted to them by least squares, rounded to the type that they are stored in, and
//! codes are rounded once more. The first choice of the least error wins, so the plain one stays where nothing is
//! better, and the error is never above it.
//!
//! Errors are summed in f64 in ascending order of columns.

use mc_tensor::convert;
use mc_tensor::dtype::DType;

use crate::grids::grid::Grid;
use crate::solvers::solver::{GroupMut, Solved, Weights};
use crate::solvers::{absmax, nearest};

/// The ranges that are tried, as shares of the plain one. Picked by gut feeling: outliers of few bits are best cut by
/// up to a half, and rounding may favor a range that is a little wider.
const SHARES: std::ops::RangeInclusive<i32> = -20..=2;

/// Number of steps of [`SHARES`] in a whole range.
const STEPS: f32 = 40.0;

/// Fits of scale and bias to the codes, for each range.
const N_FITS: usize = 2;

/// Fills in a row; `weights.importance` are the weights of the errors, and all are alike where there are none.
pub(crate) fn solve(grid: &Grid, weights: &Weights<'_>, solved: &mut Solved) {
    if grid.has_bias {
        nearest::solve(grid, weights, solved);
    } else {
        absmax::solve(grid, weights, solved);
    }
    let mut codes = vec![0; grid.group_len(weights.x.len())];
    solved.each_group(grid, weights, |group| improve(grid, weights.scale_dtype, group, &mut codes));
}

/// Scale and bias of a group.
#[derive(Clone, Copy)]
struct Line {
    scale: f32,
    bias: f32,
}

fn improve(grid: &Grid, dtype: DType, group: GroupMut<'_>, codes: &mut [i32]) {
    let GroupMut { x, importance, codes: best_codes, scale, bias } = group;
    let weight = |column: usize| importance.map_or(1.0, |importance| f64::from(importance[column]));
    let plain = Line { scale: *scale, bias: *bias };
    let mut best = plain.rounded(dtype);
    let mut least = error(grid, x, &weight, best, best_codes);
    let center = center(grid, x);
    for share in SHARES {
        let mut line = plain.narrowed(1.0 + share as f32 / STEPS, center, grid.has_bias);
        for _ in 0..N_FITS {
            round(grid, x, line, codes);
            let Some(fitted) = fit(grid, x, &weight, codes) else { break };
            line = fitted.rounded(dtype);
            if !line.is_usable() {
                break;
            }
            round(grid, x, line, codes);
            let found = error(grid, x, &weight, line, codes);
            if found < least {
                (best, least) = (line, found);
                best_codes.copy_from_slice(codes);
            }
        }
    }
    (*scale, *bias) = (best.scale, best.bias);
}

impl Line {
    /// As it is stored.
    fn rounded(self, dtype: DType) -> Self {
        let mut both = [self.scale, self.bias];
        convert::round_through(dtype, &mut both);
        Self { scale: both[0], bias: both[1] }
    }

    /// The levels drawn together around the center of the weights.
    fn narrowed(self, share: f32, center: f32, has_bias: bool) -> Self {
        let bias = if has_bias { center + (self.bias - center) * share } else { 0.0 };
        Self { scale: self.scale * share, bias }
    }

    fn is_usable(self) -> bool {
        self.scale != 0.0 && self.scale.is_finite() && self.bias.is_finite()
    }
}

/// The middle between the least and the largest weight; zero on a grid without a bias.
fn center(grid: &Grid, x: &[f32]) -> f32 {
    if !grid.has_bias {
        return 0.0;
    }
    let (lo, hi) = x.iter().fold((f32::INFINITY, f32::NEG_INFINITY), |(lo, hi), x| (lo.min(*x), hi.max(*x)));
    0.5 * lo + 0.5 * hi
}

fn round(grid: &Grid, x: &[f32], line: Line, codes: &mut [i32]) {
    for (code, x) in codes.iter_mut().zip(x) {
        *code = (grid.nearest)((x - line.bias) / line.scale);
    }
}

fn error(grid: &Grid, x: &[f32], weight: &impl Fn(usize) -> f64, line: Line, codes: &[i32]) -> f64 {
    let mut sum = 0.0;
    for (column, (x, code)) in x.iter().zip(codes).enumerate() {
        let difference = f64::from(line.scale * (grid.level)(*code) + line.bias) - f64::from(*x);
        sum += weight(column) * difference * difference;
    }
    sum
}

/// Scale and bias of the least weighted squared error for these codes; `None` where they are not determined.
fn fit(grid: &Grid, x: &[f32], weight: &impl Fn(usize) -> f64, codes: &[i32]) -> Option<Line> {
    let (mut w, mut wq, mut wqq, mut wx, mut wxq) = (0.0, 0.0, 0.0, 0.0, 0.0);
    for (column, (x, code)) in x.iter().zip(codes).enumerate() {
        let (weight, x, q) = (weight(column), f64::from(*x), f64::from((grid.level)(*code)));
        w += weight;
        wq += weight * q;
        wqq += weight * q * q;
        wx += weight * x;
        wxq += weight * x * q;
    }
    if !grid.has_bias {
        return (wqq > 0.0).then(|| Line { scale: (wxq / wqq) as f32, bias: 0.0 });
    }
    let determinant = w * wqq - wq * wq;
    // Codes that are all alike leave rounding errors, or less than nothing.
    (determinant > 1e-9 * w * wqq).then(|| Line {
        scale: ((w * wxq - wq * wx) / determinant) as f32,
        bias: ((wqq * wx - wq * wxq) / determinant) as f32,
    })
}
