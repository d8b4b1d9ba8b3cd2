//! Tensor expressions: how a tensor of an artifact is computed from the bytes of its inputs.
//!
//! An operator is a file in `operators/` and a row of [`operators::OPERATORS`]. The file contains its text, its parser,
//! its shape and its rows; no other file lists the operators.
//!
//! The crate knows no actions, rules, containers or files: the caller of an evaluation provides the bytes
//! ([`inputs::Inputs`]).

pub mod error;
pub mod evaluator;
pub mod expression;
pub mod inputs;
pub mod operators;
pub mod parse;
pub mod parser;
pub mod rows;

pub(crate) mod joined;
pub(crate) mod reordered;
pub(crate) mod text;

#[cfg(test)]
pub(crate) mod draw;
#[cfg(test)]
pub(crate) mod memory;
#[cfg(test)]
mod properties;
