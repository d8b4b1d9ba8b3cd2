//! A measured number: how an action writes it, and how a verdict reads it.

use mc_ir::action::{ActionContext, ActionError, write_bytes};
use mc_ir::output::{Output, Outputs};
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

/// Writes what was measured.
pub(crate) fn write_measurement(
    ctx: &dyn ActionContext,
    measurement: &Measurement,
) -> Result<Outputs, ActionError> {
    let json = serde_json::to_vec(measurement).map_err(ActionError::failed)?;
    let blob = write_bytes(ctx, &json)?;
    Ok(Outputs::from([("measurement.json".to_owned(), Output::File(blob))]))
}

/// The measurement in an input of the action.
pub(crate) fn measurement(ctx: &dyn ActionContext, index: usize) -> Result<Measurement, ActionError> {
    let content = ctx.input(index)?;
    serde_json::from_slice(&content.to_contiguous()).map_err(ActionError::failed)
}

/// The line of a verdict for a number that is compared with the unquantized model's.
pub(crate) fn compared(
    name: &str,
    on: &str,
    measured: &Measurement,
    baseline: &Measurement,
    limit: String,
    passed: bool,
) -> Check {
    Check {
        name: name.to_owned(),
        on: Some(on.to_owned()),
        baseline: Some(baseline.shown.clone()),
        measured: measured.shown.clone(),
        value: measured.value,
        baseline_value: Some(baseline.value),
        // Nothing is relative to zero.
        delta: (baseline.value != 0.0).then(|| signed_percent(measured.value / baseline.value - 1.0)),
        limit,
        passed,
    }
}
