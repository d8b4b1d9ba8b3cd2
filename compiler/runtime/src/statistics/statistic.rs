//! A statistic: what is kept of the inputs of a matrix product over a calibration text.
//!
//! Running numbers are f64. They are updated with the rows of a chunk in ascending position, and chunks in their order,
//! so a statistic has the same bits for any number of threads.

use std::fmt;

/// A kind of statistic of the rows that enter a matrix.
pub struct Statistic {
    /// Name in declarations and files, in kebab-case.
    pub name: &'static str,
    /// Raised when a result may change in its last bit; part of every key.
    pub version: u32,
    /// Sentence for the manual.
    pub doc: &'static str,
    /// The order in which chunks are measured.
    pub order: Order,
    /// Number of running numbers for so many columns.
    pub n_running: fn(usize) -> usize,
    /// Updates the running numbers with rows of so many columns, in ascending position.
    pub update: fn(&mut [f64], &[f32], usize),
    /// Joins the running numbers of a later chunk to those of all before it.
    pub join: fn(&mut [f64], &[f64]),
    /// Shape of the result for so many columns.
    pub shape: fn(u64) -> Vec<u64>,
    /// Returns the result of the running numbers, for so many rows and columns, rounded to f32 once.
    pub finish: fn(&[f64], u64, usize) -> Vec<f32>,
}

/// The order in which chunks are measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Several at once, each with running numbers of its own that are joined in the order of the text.
    SideBySide,
    /// One after another, because running numbers take so much memory that there can be one set only.
    OneByOne,
}

impl fmt::Display for Statistic {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name)
    }
}

impl fmt::Debug for Statistic {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}@{}", self.name, self.version)
    }
}

impl PartialEq for Statistic {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Statistic {}
