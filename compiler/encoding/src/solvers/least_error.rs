//! `least-error`: searches for the scale and, if the grid has one, the bias with the least squared error.

use crate::codec::Importance;
use crate::solvers::search;
use crate::solvers::solver::{Solver, Weights};
use crate::solvers::{absmax, nearest};

/// The solver.
pub static SOLVER: Solver = Solver {
    name: "least-error",
    version: 1,
    importance: Importance::Ignored,
    accepts: |grid| (nearest::SOLVER.accepts)(grid) || (absmax::SOLVER.accepts)(grid),
    solve: |grid, weights, solved| {
        search::solve(grid, &Weights { importance: None, ..*weights }, solved);
    },
};
