//! The data types of a build: labels, targets, attributes, providers, artifacts, actions, rules and the action graph.
//!
//! This crate reads no files, runs nothing and does not use salsa. `rules`, `analysis` and `execute` depend on it and
//! never on each other.

pub mod action;
pub mod attribute;
pub mod graph;
pub mod label;
pub mod origin;
pub mod output;
pub mod parameters;
pub mod protobuf;
pub mod provider;
pub mod reapi;
pub mod reapi_result;
pub mod rule;
pub mod rule_error;
pub mod schema;
pub mod tags;
pub mod target;
pub mod work;
