//! Foreign bytes thrown at every reader of files that others write.
//!
//! A reader may refuse whatever it is given. It may not panic, and may not allocate at once more than twice the bytes
//! that it was given (or the reader's floor): a short file must not cost much memory by claiming to be a long one.
//! The fuzz targets in `fuzz/` and the test over the corpus call the same functions.

pub mod allocations;
pub mod random;
pub mod readers;
pub mod templates;
