//! Executes an action graph: looks each action up, runs it on a miss, and records the result.
//!
//! This crate knows actions only as `dyn Action`; it contains no rules, formats or declarations.

pub mod build;
pub mod built;
pub mod context;
pub mod event;
pub mod fetch;
pub mod lookup;
pub mod options;
mod permits;
pub mod remote;
pub mod running;
pub mod services;
pub mod suspect_results;

pub(crate) mod in_flight;
pub(crate) mod ready_action;
pub(crate) mod schedule;
