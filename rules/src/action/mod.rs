//! What actions of all rules have in common. No file here is a rule.

pub(crate) mod exec_property;
pub(crate) mod expression_text;
pub(crate) mod remote_kind;
pub(crate) mod tags;
pub(crate) mod target_step;
