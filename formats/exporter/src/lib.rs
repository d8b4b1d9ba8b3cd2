//! The questions that a format answers, so that nobody else has to know it: how a model is written ([`exporter`]), and how a file is
//! read, run and looked into ([`container`]).
//!
//! Descriptions and two traits only. The crates beside this one implement them; this one knows no format, opens no file
//! and computes nothing.

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
