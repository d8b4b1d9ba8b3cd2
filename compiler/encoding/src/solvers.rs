//! The table of solvers. A solver is a file in `solvers/` and a row here.

pub mod absmax;
pub mod least_error;
pub mod nearest;
mod search;
pub mod solver;
pub mod weighted;

use crate::solvers::solver::Solver;

/// Every solver.
pub static SOLVERS: &[&Solver] =
    &[&nearest::SOLVER, &absmax::SOLVER, &least_error::SOLVER, &weighted::SOLVER];

/// The solver with this name, for example `nearest`.
pub fn by_name(name: &str) -> Option<&'static Solver> {
    SOLVERS.iter().copied().find(|solver| solver.name == name)
}
