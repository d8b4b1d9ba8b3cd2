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
use mc_tensor::cpu_path::CpuPath;

use crate::grids::grid::{Grid, Offset};
use crate::grids::scales::ScaleFormat;
use crate::lanes::{Kernel, Simd, dispatch};
use crate::solvers::solver::{GroupMut, Line, Solved, Weights};
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
    solve_on(CpuPath::detect(), grid, weights, solved);
}

fn solve_on(path: CpuPath, grid: &Grid, weights: &Weights<'_>, solved: &mut Solved) {
    match grid.offset {
        Offset::None => absmax::solve(grid, weights, solved),
        Offset::Bias | Offset::ZeroPoint => nearest::solve(grid, weights, solved),
    }
    // The baseline has the same code, compiled for fewer instructions.
    if !dispatch::run(path, Row { grid, weights, solved }) {
        improve(grid, weights, solved);
    }
}

struct Row<'a> {
    grid: &'a Grid,
    weights: &'a Weights<'a>,
    solved: &'a mut Solved,
}

impl Kernel for Row<'_> {
    #[inline(always)]
    fn run<S: Simd>(self) {
        improve(self.grid, self.weights, self.solved);
    }
}

#[inline(always)]
fn improve(grid: &Grid, weights: &Weights<'_>, solved: &mut Solved) {
    let mut search = Search::new(grid, weights.scales, grid.group_len(weights.x.len()));
    solved.each_group(grid, weights, |group| search.improve(group));
}

/// The candidates for a group, with buffers.
struct Search<'a> {
    grid: &'a Grid,
    scales: ScaleFormat,
    importance: Vec<f32>,
    scaled: Vec<f32>,
    codes: Vec<i32>,
    fitted_codes: Vec<i32>,
    levels: Vec<f32>,
}

impl<'a> Search<'a> {
    fn new(grid: &'a Grid, scales: ScaleFormat, len: usize) -> Self {
        let (importance, scaled, levels) = (vec![1.0; len], vec![0.0; len], vec![0.0; len]);
        Self { grid, scales, importance, scaled, codes: vec![0; len], fitted_codes: vec![0; len], levels }
    }

    #[inline(always)]
    fn improve(&mut self, mut group: GroupMut<'_>) {
        let x = group.x;
        if let Some(importance) = group.importance {
            self.importance.copy_from_slice(importance);
        }
        let plain = group.line();
        let Some(mut best) = self.rounded(plain) else { return };
        self.codes.copy_from_slice(group.codes);
        (self.grid.levels)(&self.codes, &mut self.levels);
        let mut least = self.error(x, best);
        let center = center(self.grid, x);
        self.fitted_codes.fill(i32::MIN);
        for share in SHARES {
            let mut line = narrowed(plain, 1.0 + share as f32 / STEPS, center);
            self.round(x, line);
            for _ in 0..N_FITS {
                // The same codes have the same fit, which was already tried.
                let fitted = (self.codes != self.fitted_codes).then(|| self.fit(x)).flatten();
                let Some(rounded) = fitted.and_then(|fitted| self.rounded(fitted)) else {
                    break;
                };
                line = rounded;
                self.round(x, line);
                let found = self.error(x, line);
                if found < least {
                    (best, least) = (line, found);
                    group.codes.copy_from_slice(&self.codes);
                }
            }
        }
        group.set_line(best);
    }

    /// Sets the codes nearest to the weights, and their levels.
    #[inline(always)]
    fn round(&mut self, x: &[f32], line: Line) {
        line.round(self.grid, x, &mut self.scaled, &mut self.codes);
        (self.grid.levels)(&self.codes, &mut self.levels);
    }

    /// The line with its numbers as stored; `None` if they are not usable.
    fn rounded(&self, line: Line) -> Option<Line> {
        if !line.scale.is_finite() || !line.bias.is_finite() {
            return None;
        }
        if self.grid.offset == Offset::Bias {
            let mut both = [line.scale, line.bias];
            convert::round_through(self.scales.dtype(), &mut both);
            let line = Line { scale: both[0], bias: both[1], ..line };
            return (both[0] != 0.0 && both[0].is_finite() && both[1].is_finite()).then_some(line);
        }
        let scale = if line.scale > 0.0 { self.scales.round(line.scale) } else { 0.0 };
        (scale > 0.0).then_some(Line { scale, ..line })
    }

    /// The weighted squared error of the codes.
    #[inline(always)]
    fn error(&mut self, x: &[f32], line: Line) -> f64 {
        let [error] = sums(x, &self.levels, &self.importance, |x, levels, weights| {
            let differences = array::from_fn(|lane| {
                let decoded = line.scale * (levels[lane] - line.zero_point) + line.bias;
                f64::from(decoded) - f64::from(x[lane])
            });
            [products(products(weights, differences), differences)]
        });
        error
    }

    /// The line with the least weighted squared error for the codes; `None` if it is not determined. A zero point is the
    /// code nearest to that of the best line with a bias.
    #[inline(always)]
    fn fit(&mut self, x: &[f32]) -> Option<Line> {
        self.fitted_codes.copy_from_slice(&self.codes);
        let [w, wq, wqq, wx, wxq] = sums(x, &self.levels, &self.importance, |x, levels, w| {
            let (x, q) = (x.map(f64::from), levels.map(f64::from));
            let (wq, wx) = (products(w, q), products(w, x));
            [w, wq, products(wq, q), wx, products(wx, q)]
        });
        if self.grid.offset == Offset::None {
            return (wqq > 0.0).then(|| Line::through_zero((wxq / wqq) as f32));
        }
        let determinant = w * wqq - wq * wq;
        // If all codes are equal, only a rounding error remains, which may be negative.
        if determinant <= 1e-9 * w * wqq {
            return None;
        }
        let (scale, bias) = ((w * wxq - wq * wx) / determinant, (wqq * wx - wq * wxq) / determinant);
        if self.grid.offset == Offset::Bias {
            return Some(Line { scale: scale as f32, bias: bias as f32, zero_point: 0.0 });
        }
        let zero = (-bias / scale).round_ties_even().clamp(0.0, f64::from(self.grid.codes.1));
        // The sums with the levels less the zero point.
        let (xq, qq) = (wxq - zero * wx, wqq - 2.0 * zero * wq + zero * zero * w);
        let scale = (xq / qq) as f32;
        (qq > 0.0).then_some(Line { scale, bias: 0.0, zero_point: zero as f32 })
    }
}

/// The levels contracted around the center of the weights.
fn narrowed(line: Line, share: f32, center: f32) -> Line {
    // Zero on a grid without a bias.
    let bias = if line.bias == 0.0 { 0.0 } else { center + (line.bias - center) * share };
    Line { scale: line.scale * share, bias, ..line }
}

/// The middle between the smallest and the largest weight; zero on a grid without a bias.
fn center(grid: &Grid, x: &[f32]) -> f32 {
    if grid.offset != Offset::Bias {
        return 0.0;
    }
    let (lo, hi) = nearest::range(x);
    0.5 * lo + 0.5 * hi
}

/// Eight numbers.
type Lanes = [f64; N_LANES];

/// Sums of terms of weight, level and importance, column by column in lanes.
///
/// * `terms`: the terms of eight columns
#[inline(always)]
fn sums<const N: usize>(
    x: &[f32],
    levels: &[f32],
    importance: &[f32],
    terms: impl Fn([f32; N_LANES], [f32; N_LANES], Lanes) -> [Lanes; N],
) -> [f64; N] {
    let mut lanes = [[0.0; N_LANES]; N];
    let (x, x_rest) = x.as_chunks::<N_LANES>();
    let (levels, levels_rest) = levels.as_chunks::<N_LANES>();
    let (importance, importance_rest) = importance.as_chunks::<N_LANES>();
    let mut take = |x: &[f32; N_LANES], levels: &[f32; N_LANES], importance: &[f32; N_LANES]| {
        let terms = terms(*x, *levels, importance.map(f64::from));
        for (lanes, terms) in lanes.iter_mut().zip(terms) {
            *lanes = array::from_fn(|lane| lanes[lane] + terms[lane]);
        }
    };
    for ((x, levels), importance) in x.iter().zip(levels).zip(importance) {
        take(x, levels, importance);
    }
    if !x_rest.is_empty() {
        // Missing columns have no importance.
        let mut last = [[0.0; N_LANES]; 3];
        for (last, rest) in last.iter_mut().zip([x_rest, levels_rest, importance_rest]) {
            last[..rest.len()].copy_from_slice(rest);
        }
        take(&last[0], &last[1], &last[2]);
    }
    lanes.map(|lanes| {
        let quarters: [f64; 4] = array::from_fn(|lane| lanes[lane] + lanes[lane + 4]);
        (quarters[0] + quarters[2]) + (quarters[1] + quarters[3])
    })
}

#[inline(always)]
fn products(a: Lanes, b: Lanes) -> Lanes {
    array::from_fn(|lane| a[lane] * b[lane])
}

#[cfg(test)]
mod tests {
    use mc_tensor::dtype::DType;

    use super::*;
    use crate::grids;

    #[test]
    fn every_path_chooses_the_same() {
        let x: Vec<f32> = (0..256).map(|n| ((n * 37 % 101) as f32 - 50.0) / (7.0 + (n % 5) as f32)).collect();
        let importance: Vec<f32> = (0..256).map(|n| (n % 13) as f32 / 3.0).collect();
        for grid in grids::all() {
            for importance in [None, Some(importance.as_slice())] {
                let weights = Weights { x: &x, importance, scales: grid.scale_format(DType::BF16) };
                let on = |path| {
                    let mut solved = Solved::new(grid, x.len());
                    solve_on(path, grid, &weights, &mut solved);
                    solved
                };
                let baseline = on(CpuPath::BASELINE);
                for path in CpuPath::available() {
                    assert_eq!(on(path), baseline, "{grid} on {}", path.name());
                }
            }
        }
    }
}
