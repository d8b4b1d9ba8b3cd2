//! Inspects models: files, objects of the store, and the models of targets.

pub mod diff;
pub mod error;
pub mod fidelity;
pub mod file;
pub mod listing;
pub mod object;
pub mod read;
pub mod target;

mod safetensors;
mod series;
