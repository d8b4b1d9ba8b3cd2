//! A model that is spread over several files.

use std::ops::Range;

/// A file's place among those of its model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Series {
    /// Number of the file, from 1.
    pub number: u32,
    /// The names of all, in order, with the folder of the one that was named.
    pub names: Vec<String>,
}

/// A piece of the one file that a series stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Joined {
    /// Bytes of no file.
    Bytes(Vec<u8>),
    /// Bytes of one of the files.
    Range {
        /// Its number, from 0.
        file: usize,
        /// The place in it.
        range: Range<u64>,
    },
}
