//! A measured number: written by most actions that measure, and read by the action that judges.

use serde::{Deserialize, Serialize};

use crate::evaluate::interval::Interval;
use crate::evaluate::verdict::{Check, signed_percent};

/// Version of the format; it is added to the version of each action that writes the format.
pub(crate) const VERSION: u32 = 1;

/// A measured number.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Measurement {
    /// The number.
    pub(crate) value: f64,
    /// Text for display.
    pub(crate) shown: String,
    /// Its confidence interval.
    pub(crate) interval: Interval,
}

impl Measurement {
    /// Returns a verdict line that compares the number with that of the unquantized model.
    ///
    /// * `name`, `on`: the metric and the dataset
    /// * `limit`, `passed`: the limit in words, and whether the number is within it
    pub(crate) fn against(
        &self,
        baseline: &Self,
        name: &str,
        on: &str,
        limit: String,
        passed: bool,
    ) -> Check {
        Check {
            name: name.to_owned(),
            on: Some(on.to_owned()),
            baseline: Some(baseline.shown.clone()),
            measured: self.shown.clone(),
            value: Some(self.value),
            baseline_value: Some(baseline.value),
            interval: Some(self.interval.clone()),
            baseline_interval: Some(baseline.interval.clone()),
            // A change relative to zero is undefined.
            delta: (baseline.value != 0.0).then(|| signed_percent(self.value / baseline.value - 1.0)),
            limit,
            passed,
            ..Check::default()
        }
    }
}
