//! The interface of file formats: writing a model ([`exporter`]), finding its tensors in what was written
//! ([`planes_in_files`]), and reading, running and inspecting a file that describes itself ([`container`]).
//!
//! This crate holds descriptions and two traits only; no other crate needs to know a format. The crates beside this one
//! implement the traits. This one knows no format, opens no file and computes nothing.

pub mod change;
pub mod container;
pub mod count_label;
pub mod export_settings;
pub mod exporter;
pub mod format_error;
pub mod identity;
pub mod listing;
pub mod model_description;
pub mod model_facts;
pub mod model_file;
pub mod plane;
pub mod planes_in_files;
pub mod quantization;
pub mod refusal;
pub mod series;
pub mod source_file;
pub mod written_file;
