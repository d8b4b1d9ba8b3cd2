//! A model split over several files.

use std::ops::Range;

/// A file's position in a series.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Series {
    /// Number of the file, from 1.
    pub number: u32,
    /// The names of all files in order, including the folder of the given file.
    pub names: Vec<String>,
}

/// A part of the single file that a series represents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Joined {
    /// Bytes that are not in any of the files.
    Bytes(Vec<u8>),
    /// Bytes of one of the files.
    Range {
        /// Index of the file, from 0.
        file: usize,
        /// The byte range in the file.
        range: Range<u64>,
    },
}
