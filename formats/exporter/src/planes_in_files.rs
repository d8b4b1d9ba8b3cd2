//! The planes in files that an exporter wrote, found by reading these files.
//!
//! A model is checked by running what was written: names, types and locations come from the files, not from the plan by
//! which they were written.

use std::borrow::Cow;
use std::ops::Range;

use crate::format_error::FormatError;

/// The bytes of a file of an exported model.
pub trait FileBytes {
    /// Its path in the folder of the model.
    fn name(&self) -> &str;

    /// Its length.
    fn n_bytes(&self) -> u64;

    /// Reads a range.
    ///
    /// # Errors
    /// If the file is shorter, or cannot be read.
    fn read(&self, range: Range<u64>) -> Result<Cow<'_, [u8]>, FormatError>;
}

/// A plane that a file contains.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundPlane {
    /// Its name in the file.
    pub name: String,
    /// The name of its type in the file, as [`crate::plane::Plane::kind`].
    pub kind: &'static str,
    /// Its dimensions, as written in the file.
    pub dims: Vec<u64>,
    /// Index of the file.
    pub file: usize,
    /// The range of its bytes in the file.
    pub range: Range<u64>,
}
