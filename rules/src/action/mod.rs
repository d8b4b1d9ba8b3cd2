//! Shared parts of the actions of all rules. No file here is a rule.

pub(crate) mod evaluation;
pub(crate) mod exec_property;
pub(crate) mod remote_kind;
pub(crate) mod tags;
pub(crate) mod target_action;
