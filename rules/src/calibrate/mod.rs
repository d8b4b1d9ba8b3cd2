//! Statistics of a model on a text.
//!
//! | file | rule |
//! |---|---|
//! | `calibrate` | `calibrate` |
//! | `imatrix` | `imatrix`, one of its algorithms with a file format of its own |
//!
//! `calibration` runs a model over a text, `matrices` says what is measured; `statistic_info` is what the rules provide
//! and `statistic_file` how it is written.

#[expect(clippy::module_inception, reason = "a rule's file bears the rule's name")]
pub mod calibrate;
pub(crate) mod calibration;
pub mod imatrix;
pub(crate) mod matrices;
pub mod statistic_file;
pub mod statistic_info;
