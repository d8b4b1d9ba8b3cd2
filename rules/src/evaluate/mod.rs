//! Measurements of a model, and the verdict on them.
//!
//! | file | rule |
//! |---|---|
//! | `gate` | `gate` |
//!
//! `metrics` is the table of what a gate can measure, with one file per metric in the folder of that name;
//! the trait is in `metric`. The other files are the actions that measure (`measure`), judge (`judge`)
//! and find overlaps (`leak`), and the data that they exchange.

pub(crate) mod answer_faults;
pub(crate) mod chunk_context;
pub mod gate;
pub(crate) mod gated_model;
pub mod interval;
pub(crate) mod judge;
pub(crate) mod leak;
pub(crate) mod measure;
pub(crate) mod measurement;
pub(crate) mod metric;
pub(crate) mod metrics;
pub(crate) mod number;
pub(crate) mod prompt_items;
pub mod runtime;
#[cfg(test)]
mod toy_gate;
#[cfg(test)]
mod toy_written;
#[cfg(test)]
mod two_models;
pub mod verdict;
