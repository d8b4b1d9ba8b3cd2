//! LiteRT's formats: `.tflite`, a graph with its weights, and `.litertlm`, a bundle that LiteRT-LM runs.
//!
//! The graph of operators is lowered once for each signature (`lowering`), with one row for each operator
//! (`operators`). This crate writes both files and finds the weights in them again; it does not run them.

mod accepts;
mod bundle;
mod caches;
pub mod exporter;
mod flatbuffer;
mod found_planes;
mod graph_file;
mod lowering;
mod operators;
mod parts;
mod positions;
mod quantizations;
pub mod settings;
mod signatures;
mod tflite;
mod weights;
