//! The interval around a number that a sample gave.

use std::ops::Range;

use serde::{Deserialize, Serialize};

/// An interval of 95 % confidence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// Its lower end.
    pub low: f64,
    /// Its upper end.
    pub high: f64,
    /// The text that shows it.
    pub shown: String,
}

impl Interval {
    /// An interval whose ends are shown by a function.
    pub(crate) fn new(range: Range<f64>, show: impl Fn(f64) -> String) -> Self {
        let Range { start: low, end: high } = range;
        Self { low, high, shown: format!("{} to {}", show(low), show(high)) }
    }
}
