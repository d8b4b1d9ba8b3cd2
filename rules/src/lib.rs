//! What the kinds of targets mean: one file per rule, with its attributes, its analysis and its actions.
//!
//! A rule is a row of [`rules::RULES`]. Rules know families, formats, codecs and the runtime; they know neither
//! salsa nor the store: the analysis calls them, and the executor runs the actions that they make.

pub mod calibrate;
pub mod evaluate;
pub mod export;
pub mod quantize;
pub mod remote_kinds;
pub mod rules;
pub mod ship;
pub mod source;
pub mod transform;

pub(crate) mod action;
pub(crate) mod attributes;
pub(crate) mod runnable;
