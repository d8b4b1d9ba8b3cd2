//! Measurements of a model, and the rule `gate` that judges them.

pub mod gate;
pub(crate) mod leak;
pub(crate) mod measurement;
pub(crate) mod metrics;
pub mod verdict;
