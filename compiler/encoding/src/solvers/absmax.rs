//! `absmax`: the highest level represents the largest magnitude of a group, and each weight gets the nearest level. For
//! grids without a bias or zero point.
//!
//! `scale = max |w| / level(highest code)`, rounded to its stored format; codes are rounded with the result.

use crate::codec::Importance;
use crate::grids::grid::{Grid, Offset};
use crate::solvers::solver::{Line, Solved, Solver, Weights};

/// The solver.
pub static SOLVER: Solver = Solver {
    name: "absmax",
    version: 1,
    importance: Importance::Ignored,
    accepts: |grid| grid.offset == Offset::None && grid.top() > 0.0,
    solve,
};

pub(crate) fn solve(grid: &Grid, weights: &Weights<'_>, solved: &mut Solved) {
    let top = grid.top();
    let mut scaled = vec![0.0; grid.group_len(weights.x.len())];
    solved.each_group(grid, weights, |mut group| {
        let scale = weights.scales.round(magnitude(group.x) / top);
        group.set(grid, Line::through_zero(scale), &mut scaled);
    });
}

/// The largest magnitude, in lanes.
fn magnitude(x: &[f32]) -> f32 {
    let (whole, rest) = x.as_chunks::<8>();
    let mut lanes = [0.0_f32; 8];
    for x in whole {
        for (lane, x) in lanes.iter_mut().zip(x) {
            *lane = lane.max(x.abs());
        }
    }
    lanes.iter().chain(rest).fold(0.0, |max, x| max.max(x.abs()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_magnitude_is_that_of_any_column() {
        for column in 0..19 {
            let mut x = [0.5; 19];
            x[column] = -2.0;
            assert_eq!(magnitude(&x), 2.0);
        }
        assert_eq!(magnitude(&[]), 0.0);
    }
}
