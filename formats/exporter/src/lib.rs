//! The interface of file formats: writing a model ([`exporter`]), and reading, running and inspecting a file
//! ([`container`]).
//!
//! This crate holds descriptions and two traits only; no other crate needs to know a format. The crates beside this one
//! implement the traits. This one knows no format, opens no file and computes nothing.

pub mod change;
pub mod container;
pub mod count_label;
pub mod exporter;
pub mod format_error;
pub mod identity;
pub mod listing;
pub mod model_description;
pub mod model_facts;
pub mod model_file;
pub mod plane;
pub mod refusal;
pub mod series;
