//! `absmax`: the highest level represents the largest magnitude of a group, and each weight gets the nearest level. For
//! grids without a bias.
//!
//! `scale = max |w| / level(highest code)`, rounded to its stored type; codes are rounded with the result. A scale that
//! would be zero is 1: the codes are zeros anyway, and some runtimes refuse scales of zero.

use mc_tensor::convert;
use mc_tensor::dtype::DType;

use crate::codec::Importance;
use crate::grids::grid::Grid;
use crate::solvers::solver::{Solved, Solver, Weights};

/// The solver.
pub static SOLVER: Solver = Solver {
    name: "absmax",
    version: 1,
    importance: Importance::Ignored,
    accepts: |grid| !grid.has_bias && grid.top() > 0.0,
    solve,
};

pub(crate) fn solve(grid: &Grid, weights: &Weights<'_>, solved: &mut Solved) {
    let top = grid.top();
    let mut scaled = vec![0.0; grid.group_len(weights.x.len())];
    solved.each_group(grid, weights, |mut group| {
        let scale = scale(group.x, top, weights.scale_dtype);
        group.set(grid, scale, 0.0, &mut scaled);
    });
}

fn scale(x: &[f32], top: f32, dtype: DType) -> f32 {
    let max = x.iter().fold(0.0_f32, |max, x| max.max(x.abs()));
    let mut scale = [max / top];
    convert::round_through(dtype, &mut scale);
    if scale[0] == 0.0 { 1.0 } else { scale[0] }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_have_their_stored_precision() {
        assert_eq!(scale(&[1.0, -14.0], 7.0, DType::F16), 2.0);
        assert_eq!(scale(&[0.1], 7.0, DType::F16), convert::f16_to_f32(convert::f32_to_f16(0.1 / 7.0)));
        assert_eq!(scale(&[0.0, -0.0], 7.0, DType::F16), 1.0);
        assert_eq!(scale(&[1e-9], 7.0, DType::F16), 1.0);
    }
}
