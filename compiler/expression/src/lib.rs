//! Tensor expressions: how one tensor of an artifact comes from the bytes of its inputs.
//!
//! An operator is a file in `operators/` and a row of [`operators::OPERATORS`]. The file has its text, its parser, its
//! shape and its rows; nothing else lists the operators.
//!
//! Knows no action, rule, container or file: who evaluates an expression gives the bytes ([`inputs::Inputs`]).

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
