//! Verdicts of gates as JSON, and failed ones as errors.

use mc_driver::build::targets::GateResult;
use mc_rules::evaluate::verdict::{Check, Verdict};
use serde_json::{Value, json};

use crate::invocation::Invocation;
use crate::report::Report;

/// The verdicts as JSON.
pub(crate) fn json(gates: &[GateResult]) -> Vec<Value> {
    let gate = |gate: &GateResult| {
        let Verdict { passed, checks } = &gate.verdict;
        json!({ "label": gate.label.to_string(), "passed": passed, "cached": gate.is_cached, "checks": checks })
    };
    gates.iter().map(gate).collect()
}

/// Writes an error for each gate that failed, with what it measured.
pub(crate) fn report_gates(invocation: &Invocation, gates: &[GateResult]) {
    if invocation.is_json() {
        return;
    }
    for gate in gates.iter().filter(|gate| !gate.verdict.passed) {
        let failed = gate.verdict.checks.iter().filter(|check| !check.passed);
        let because: Vec<String> = failed.map(measured).collect();
        invocation.error(&Report::failed("Gate failed").at(&gate.label).because(because.join("\n")));
    }
}

fn measured(check: &Check) -> String {
    let on = check.on.as_ref().map(|on| format!(" on {on}")).unwrap_or_default();
    let delta = check.delta.as_ref().map(|delta| format!(" ({delta})")).unwrap_or_default();
    format!("{}{on}: {}{delta}, limit {}", check.name, check.measured, check.limit)
}
