//! Verdicts of gates as JSON.

use mc_driver::build::targets::GateResult;
use mc_rules::evaluate::verdict::Verdict;
use serde_json::{Value, json};

/// The verdicts as JSON.
pub(crate) fn json(gates: &[GateResult]) -> Vec<Value> {
    let gate = |gate: &GateResult| {
        let Verdict { passed, checks } = &gate.verdict;
        json!({ "label": gate.label.to_string(), "passed": passed, "cached": gate.is_cached, "checks": checks })
    };
    gates.iter().map(gate).collect()
}
