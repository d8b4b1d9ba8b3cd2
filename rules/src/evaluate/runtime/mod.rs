//! The runtimes of formats, as Python packages that the user may have installed, and the process that runs a model in
//! one of them.
//!
//! This folder compares and judges nothing: see `evaluate::metrics::runtime_parity`.

pub(crate) mod answers;
pub(crate) mod folder;
pub(crate) mod process;
pub(crate) mod run_action;
pub mod tools;
