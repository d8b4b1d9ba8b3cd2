//! What actions of all rules have in common.

pub(crate) mod evaluation;
pub(crate) mod exec_property;
pub(crate) mod tags;
pub(crate) mod target_step;
