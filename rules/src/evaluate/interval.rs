//! Confidence interval of a number measured on a sample.

use std::ops::Range;

use serde::{Deserialize, Serialize};

/// A 95 % confidence interval.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// Text for display.
    pub shown: String,
}

impl Interval {
    /// Creates an interval and formats its ends with `show`.
    pub(crate) fn new(range: Range<f64>, show: impl Fn(f64) -> String) -> Self {
        let Range { start: low, end: high } = range;
        Self { low, high, shown: format!("{} to {}", show(low), show(high)) }
    }
}
