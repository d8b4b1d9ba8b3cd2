//! Passes malformed bytes to every reader of foreign file formats.
//!
//! A reader may refuse any input. It must not panic, and no single allocation may exceed twice the input (or the
//! reader's floor): a short file must not cost much memory by claiming to be long. The fuzz targets in `fuzz/` and the
//! test over the corpus call the same functions.

pub mod allocations;
pub mod random;
pub mod readers;
pub mod templates;
