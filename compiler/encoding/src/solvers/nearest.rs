//! `nearest`: the levels span the range from the smallest to the largest weight of a group, one of them equals the
//! weight with the largest magnitude, and each weight gets the nearest level. For grids with evenly spaced levels and a
//! bias.
//!
//! This is MLX's choice, bit for bit: all in f32, and codes are rounded with the scale and bias before these are
//! rounded for storage. With `lo` and `hi` the smallest and the largest weight, and `top` the highest code:
//!
//! ```text
//! s = max((hi - lo) / top, 1e-7), negative unless |lo| > |hi|
//! edge = |lo| > |hi| ? lo : hi
//! q0 = rint(edge / s)
//! q0 = 0: scale = s, bias = 0; else scale = edge / q0, bias = edge
//! q = clip(rint((w - bias) / scale), 0, top)
//! ```
//!
//! Source: `affine_quantize` of mlx 0.32 (mlx/backend/cpu/quantized.cpp). Bytes are compared with it in
//! `tests/planes.rs`.

use crate::codec::Importance;
use crate::grids::grid::Grid;
use crate::solvers::solver::{Solved, Solver, Weights};

/// The minimum magnitude of a scale before it is fitted to the edge.
const MIN_SCALE: f32 = 1e-7;

/// The solver.
pub static SOLVER: Solver = Solver {
    name: "nearest",
    version: 1,
    importance: Importance::Ignored,
    accepts: |grid| grid.has_bias && grid.codes.0 == 0 && grid.top() == grid.codes.1 as f32,
    solve,
};

pub(crate) fn solve(grid: &Grid, weights: &Weights<'_>, solved: &mut Solved) {
    let top = grid.codes.1 as f32;
    let mut scaled = vec![0.0; grid.group_len(weights.x.len())];
    solved.each_group(grid, weights, |mut group| {
        let (scale, bias) = scale_and_bias(group.x, top);
        group.set(grid, scale, bias, &mut scaled);
    });
}

fn scale_and_bias(x: &[f32], top: f32) -> (f32, f32) {
    let (lo, hi) = x.iter().fold((f32::INFINITY, f32::NEG_INFINITY), |(lo, hi), x| (lo.min(*x), hi.max(*x)));
    let is_low = lo.abs() > hi.abs();
    let step = ((hi - lo) / top).max(MIN_SCALE);
    let (edge, step) = if is_low { (lo, step) } else { (hi, -step) };
    let code = (edge / step).round_ties_even();
    if code == 0.0 { (step, 0.0) } else { (edge / code, edge) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_edge_of_the_larger_magnitude_is_exact() {
        // 3 / 3 is an integer: the bias is the edge, and the scale points away from it.
        assert_eq!(scale_and_bias(&[0.0, 1.0, 2.0, 3.0], 3.0), (-1.0, 3.0));
        assert_eq!(scale_and_bias(&[-3.0, -1.0, -2.0, 0.0], 3.0), (1.0, -3.0));
    }

    #[test]
    fn zeros_have_a_scale_and_no_bias() {
        assert_eq!(scale_and_bias(&[0.0; 4], 15.0), (-MIN_SCALE, 0.0));
        assert_eq!(scale_and_bias(&[-0.0; 4], 15.0).1.to_bits(), 0);
    }
}
