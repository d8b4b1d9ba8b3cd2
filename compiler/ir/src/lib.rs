//! The nouns of a build: labels, targets, attributes, providers, artifacts, tensor expressions, actions, rules and
//! the action graph.
//!
//! This crate reads no files, runs nothing and knows no salsa: `rules`, `analysis` and `execute` meet here and
//! never import each other.

pub mod action;
pub mod adapter_expression;
pub mod attribute;
pub mod blend;
pub mod expression;
pub mod fault;
pub mod graph;
pub mod label;
pub mod origin;
pub mod output;
pub mod parse_expression;
pub mod protobuf;
pub mod provider;
pub mod reapi;
pub mod reapi_result;
pub mod rule;
pub mod schema;
pub mod tags;
pub mod target;
