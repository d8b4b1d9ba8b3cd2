//! Inspects models: files, objects of the store, and the models of targets.

pub mod checkpoint;
pub mod diff;
pub mod error;
pub mod fidelity;
pub mod file;
pub mod folder;
pub mod listing;
pub mod object;
pub mod operand;
pub mod planes;
pub mod read;
pub mod side;
pub mod target;

mod safetensors;
mod series;
mod used_weight;
