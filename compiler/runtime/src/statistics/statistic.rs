//! A statistic of the inputs of a matrix product over a calibration text.
//!
//! Running values are f64. They are updated with the rows of a chunk in ascending position, and chunks in order, so a
//! statistic has the same bits for any number of threads.

use std::fmt;

/// A kind of statistic of the rows that enter a matrix.
pub struct Statistic {
    /// Name in declarations and files, in kebab-case.
    pub name: &'static str,
    /// Raised when a result may change in its last bit; part of every key.
    pub version: u32,
    /// A sentence for the manual.
    pub doc: &'static str,
    /// The order in which chunks are measured.
    pub order: Order,
    /// Number of running values for a number of columns.
    pub n_running: fn(usize) -> usize,
    /// Updates the running values with rows of a number of columns, in ascending position.
    pub update: fn(&mut [f64], &[f32], usize),
    /// Joins the running values of a later chunk to those of all chunks before it.
    pub join: fn(&mut [f64], &[f64]),
    /// Shape of the result for a number of columns.
    pub shape: fn(u64) -> Vec<u64>,
    /// Computes the result from the running values, the number of rows and the number of columns; rounded to f32 once.
    pub finish: fn(&[f64], u64, usize) -> Vec<f32>,
}

/// The order in which chunks are measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Several in parallel, each with its own running values, which are joined in text order.
    SideBySide,
    /// One after another, because the running values need so much memory that only one set fits.
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
