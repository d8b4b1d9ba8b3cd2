//! `weighted`: like `least-error`, with each column's error weighted by its importance (the statistic `diagonal`, or an
//! imatrix).

use crate::codec::Importance;
use crate::solvers::least_error;
use crate::solvers::search;
use crate::solvers::solver::Solver;

/// The solver.
pub static SOLVER: Solver = Solver {
    name: "weighted",
    version: 1,
    importance: Importance::Required,
    accepts: |grid| (least_error::SOLVER.accepts)(grid),
    solve: search::solve,
};
