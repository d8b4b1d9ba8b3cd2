//! A measured number: the file between the action that measures and the one that judges.

use mc_ir::action::ActionError;
use serde::{Deserialize, Serialize};

use crate::evaluate::verdict::{Check, signed_percent};

/// A measured number, as a measuring action writes it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Measurement {
    /// The number.
    pub(crate) value: f64,
    /// How it is shown.
    pub(crate) shown: String,
}

impl Measurement {
    /// Returns the bytes that hold it.
    ///
    /// # Errors
    /// When the number cannot be written.
    pub(crate) fn to_json(&self) -> Result<Vec<u8>, ActionError> {
        serde_json::to_vec(self).map_err(ActionError::failed)
    }

    /// Reads the bytes that [`Self::to_json`] gave.
    ///
    /// # Errors
    /// When they hold no measurement.
    pub(crate) fn from_json(bytes: &[u8]) -> Result<Self, ActionError> {
        serde_json::from_slice(bytes).map_err(ActionError::failed)
    }

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
            // Nothing is relative to zero.
            delta: (baseline.value != 0.0).then(|| signed_percent(self.value / baseline.value - 1.0)),
            limit,
            passed,
        }
    }
}
