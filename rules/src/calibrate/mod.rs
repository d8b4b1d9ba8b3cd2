//! Statistics of a model on a text.
//!
//! | file | rule |
//! |---|---|
//! | `calibrate` | `calibrate` |
//! | `imatrix` | `imatrix`, one of the statistics, in a file format of its own |
//!
//! `calibration` runs a model over a text, and `matrices` selects the measured matrices; `statistic_info` is
//! the rules' provider, and `statistic_file` its file format.

#[expect(clippy::module_inception, reason = "a rule's file bears the rule's name")]
pub mod calibrate;
pub(crate) mod calibration;
pub mod imatrix;
pub(crate) mod matrices;
pub mod statistic_file;
pub mod statistic_info;
