//! A measured number: what most actions that measure write, and the one that judges reads.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::evaluate::interval::Interval;
use crate::evaluate::verdict::{Check, signed_percent};

/// Version of the form, which adds to that of each action that writes it.
pub(crate) const VERSION: u32 = 1;

/// A measured number.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Measurement {
    /// The number.
    pub(crate) value: f64,
    /// The text that shows it.
    pub(crate) shown: String,
    /// The interval around it.
    pub(crate) interval: Interval,
}

impl Measurement {
    /// Returns the line of a verdict for a number that is compared with the unquantized model's.
    ///
    /// * `name`, `on`: the metric and the dataset
    /// * `limit`, `passed`: what is allowed, in words, and whether the number keeps to it
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
            value: self.value,
            baseline_value: Some(baseline.value),
            interval: Some(self.interval.clone()),
            baseline_interval: Some(baseline.interval.clone()),
            // Nothing is relative to zero.
            delta: (baseline.value != 0.0).then(|| signed_percent(self.value / baseline.value - 1.0)),
            limit,
            limits: BTreeMap::new(),
            passed,
        }
    }
}
