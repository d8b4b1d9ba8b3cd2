//! `nearest`: the levels span the range from the smallest to the largest weight of a group, one of them equals the
//! weight with the largest magnitude, and each weight gets the nearest level. For grids with evenly spaced levels and a
//! bias or a zero point.
//!
//! With a bias this is MLX's choice, bit for bit: all in f32, and codes are rounded with the scale and bias before these are
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
//! With a zero point the range includes zero, scales are rounded to their stored format first, and codes are rounded with
//! the result:
//!
//! ```text
//! lo = min(w, 0), hi = max(w, 0)
//! scale = (hi - lo) / top, zero point = clip(rint(-lo / scale), 0, top)
//! q = clip(rint(w / scale + zero point), 0, top)
//! ```
//!
//! Source: `affine_quantize` of mlx 0.32 (mlx/backend/cpu/quantized.cpp). Bytes are compared with it in
//! `tests/planes.rs`.

use crate::codec::Importance;
use crate::grids::grid::{Grid, Offset};
use crate::grids::scales::ScaleFormat;
use crate::solvers::solver::{Line, Solved, Solver, Weights};

/// The minimum magnitude of a scale before it is fitted to the edge.
const MIN_SCALE: f32 = 1e-7;

/// The solver.
pub static SOLVER: Solver = Solver {
    name: "nearest",
    version: 1,
    importance: Importance::Ignored,
    accepts: |grid| grid.offset != Offset::None && grid.codes.0 == 0 && grid.top() == grid.codes.1 as f32,
    solve,
};

pub(crate) fn solve(grid: &Grid, weights: &Weights<'_>, solved: &mut Solved) {
    let top = grid.codes.1 as f32;
    let mut scaled = vec![0.0; grid.group_len(weights.x.len())];
    solved.each_group(grid, weights, |mut group| {
        let range = range(group.x);
        let line = match grid.offset {
            Offset::ZeroPoint => with_zero_point(range, top, weights.scales),
            Offset::None | Offset::Bias => with_bias(range, top),
        };
        group.set(grid, line, &mut scaled);
    });
}

/// The smallest and the largest weight, in lanes.
pub(crate) fn range(x: &[f32]) -> (f32, f32) {
    let (whole, rest) = x.as_chunks::<8>();
    let (mut low, mut high) = ([f32::INFINITY; 8], [f32::NEG_INFINITY; 8]);
    for x in whole {
        for ((low, high), x) in low.iter_mut().zip(&mut high).zip(x) {
            (*low, *high) = (low.min(*x), high.max(*x));
        }
    }
    let low = low.iter().chain(rest).fold(f32::INFINITY, |low, x| low.min(*x));
    (low, high.iter().chain(rest).fold(f32::NEG_INFINITY, |high, x| high.max(*x)))
}

fn with_zero_point((low, high): (f32, f32), top: f32, scales: ScaleFormat) -> Line {
    let (low, high) = (low.min(0.0), high.max(0.0));
    let scale = scales.round((high - low) / top);
    let zero_point = (-low / scale).round_ties_even().clamp(0.0, top);
    Line { scale, bias: 0.0, zero_point }
}

fn with_bias((lo, hi): (f32, f32), top: f32) -> Line {
    let is_low = lo.abs() > hi.abs();
    let step = ((hi - lo) / top).max(MIN_SCALE);
    let (edge, step) = if is_low { (lo, step) } else { (hi, -step) };
    let code = (edge / step).round_ties_even();
    let (scale, bias) = if code == 0.0 { (step, 0.0) } else { (edge / code, edge) };
    Line { scale, bias, zero_point: 0.0 }
}

#[cfg(test)]
mod tests {
    use mc_tensor::dtype::DType;

    use super::*;

    #[test]
    fn the_edge_of_the_larger_magnitude_is_exact() {
        // 3 / 3 is an integer: the bias is the edge, and the scale points away from it.
        let line = |x: &[f32]| with_bias(range(x), 3.0);
        assert_eq!(line(&[0.0, 1.0, 2.0, 3.0]), Line { scale: -1.0, bias: 3.0, zero_point: 0.0 });
        assert_eq!(line(&[-3.0, -1.0, -2.0, 0.0]), Line { scale: 1.0, bias: -3.0, zero_point: 0.0 });
    }

    #[test]
    fn zeros_have_a_scale_and_no_bias() {
        assert_eq!(with_bias(range(&[0.0; 4]), 15.0).scale, -MIN_SCALE);
        assert_eq!(with_bias(range(&[-0.0; 4]), 15.0).bias.to_bits(), 0);
    }

    #[test]
    fn zero_is_a_level_of_grids_with_zero_points() {
        let line = |range| with_zero_point(range, 15.0, ScaleFormat::Float(DType::F16));
        assert_eq!(line((-5.0, 10.0)), Line { scale: 1.0, bias: 0.0, zero_point: 5.0 });
        assert_eq!(line((3.0, 30.0)), Line { scale: 2.0, bias: 0.0, zero_point: 0.0 });
        assert_eq!(line((-30.0, -3.0)), Line { scale: 2.0, bias: 0.0, zero_point: 15.0 });
        assert_eq!(line((0.0, 0.0)), Line { scale: 1.0, bias: 0.0, zero_point: 0.0 });
    }
}
