//! From an action graph to outputs in the store: look each action up, run what is missing, remember it.
//!
//! This crate knows actions only as `dyn Action`; it knows no rule, no format and no declaration.

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
