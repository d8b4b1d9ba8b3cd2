//! Verdicts: the measurements of all gates of a model compared with the limits, and the table that shows
//! them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::evaluate::interval::Interval;

/// The measured value of a check that did not run.
pub const NOT_RUN: &str = "not run";

/// The result of all gates of one model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// True if every check passed.
    pub passed: bool,
    /// Each check, in the order of the declaration.
    pub checks: Vec<Check>,
}

/// One measured number and its limit.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Check {
    /// The measured quantity: `perplexity`, `accuracy`, `kl top-1`, `size`.
    pub name: String,
    /// The dataset, if any.
    pub on: Option<String>,
    /// The unquantized model's number, as displayed.
    pub baseline: Option<String>,
    /// The number of the model that ships, as displayed.
    pub measured: String,
    /// The same as a plain number: perplexity, share, bytes; `None` if the check did not run.
    pub value: Option<f64>,
    /// The unquantized model's number, if it was measured.
    pub baseline_value: Option<f64>,
    /// The confidence interval, if the number is a mean or a share of a sample.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<Interval>,
    /// The confidence interval of the unquantized model's number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baseline_interval: Option<Interval>,
    /// The change relative to the baseline.
    pub delta: Option<String>,
    /// The limit in words.
    pub limit: String,
    /// The limits as numbers, under their names in the gate's declaration.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub limits: BTreeMap<String, f64>,
    /// True if the number is within its limits; false for a check that did not run.
    pub passed: bool,
    /// The tool that measured, with its version, if it is not `mc` itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool: Option<String>,
    /// The reason why the check did not run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_run: Option<String>,
    /// True if the gate fails when the check does not run.
    #[serde(default, skip_serializing_if = "is_false")]
    pub required: bool,
    /// The worst example, if the check failed and there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub example: Option<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_false(value: &bool) -> bool {
    !value
}

impl Check {
    /// Creates a check that did not run.
    ///
    /// * `name`, `on`: the metric and the dataset
    /// * `required`: true if the gate fails for it
    pub(crate) fn not_run(name: &str, on: &str, reason: String, required: bool) -> Self {
        Self {
            name: name.to_owned(),
            on: Some(on.to_owned()),
            measured: NOT_RUN.to_owned(),
            limit: if required { "required" } else { "none" }.to_owned(),
            not_run: Some(reason),
            required,
            ..Self::default()
        }
    }

    /// Returns true if the gate fails because of this check.
    pub fn is_miss(&self) -> bool {
        !self.passed && (self.not_run.is_none() || self.required)
    }

    /// The change relative to the baseline, as a share of it.
    pub fn change(&self) -> Option<f64> {
        let baseline = self.baseline_value.filter(|baseline| *baseline != 0.0)?;
        self.value.filter(|_| self.delta.is_some()).map(|value| value / baseline - 1.0)
    }

    /// Adds limits as numbers; those that are not declared are left out.
    pub(crate) fn with_limits<const N: usize>(mut self, limits: [(&str, Option<f64>); N]) -> Self {
        let declared = limits.into_iter().filter_map(|(name, limit)| Some((name.to_owned(), limit?)));
        self.limits.extend(declared);
        self
    }
}

impl Verdict {
    /// Joins checks; the verdict passes if every check does, except those that did not run and are not required.
    pub fn new(checks: Vec<Check>) -> Self {
        Self { passed: !checks.iter().any(Check::is_miss), checks }
    }

    /// Returns the number of checks that passed.
    pub fn n_passed(&self) -> usize {
        self.checks.iter().filter(|check| check.passed).count()
    }

    /// Returns the number of checks that did not run.
    pub fn n_not_run(&self) -> usize {
        self.checks.iter().filter(|check| check.not_run.is_some()).count()
    }

    /// Reads a verdict as a gate wrote it.
    ///
    /// # Errors
    /// Fails if the bytes are not a verdict.
    pub fn from_json(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(bytes)
    }

    /// Returns the verdict as indented JSON with a final newline.
    pub fn to_json(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).expect("a verdict holds only text and booleans");
        text.push('\n');
        text
    }

    /// Formats the checks as an aligned table for a terminal or a log.
    pub fn table(&self) -> String {
        let header =
            ["gate", "baseline", "measured", "95 % interval", "change", "limit", ""].map(str::to_owned);
        let mut rows = vec![header];
        for check in &self.checks {
            let name = match &check.on {
                Some(on) => format!("{} on {on}", check.name),
                None => check.name.clone(),
            };
            let dash = || "-".to_owned();
            rows.push([
                name,
                check.baseline.clone().unwrap_or_else(dash),
                check.measured.clone(),
                check.interval.as_ref().map_or_else(dash, |interval| interval.shown.clone()),
                check.delta.clone().unwrap_or_else(dash),
                check.limit.clone(),
                match (check.passed, check.is_miss()) {
                    (true, _) => "pass".to_owned(),
                    (false, true) => "MISS".to_owned(),
                    (false, false) => NOT_RUN.to_owned(),
                },
            ]);
        }
        align(&rows)
    }
}

fn align<const N: usize>(rows: &[[String; N]]) -> String {
    let mut widths = [0; N];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(widths) {
            line.push_str(cell);
            line.extend(std::iter::repeat_n(' ', width - cell.chars().count() + 2));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// Formats a share as a percentage with two digits and a sign: `+1.25 %`.
pub(crate) fn signed_percent(share: f64) -> String {
    format!("{:+.2} %", share * 100.0)
}

/// Formats a share as a percentage with at most two decimal digits.
pub(crate) fn percent(share: f64) -> String {
    let text = format!("{:.2}", share * 100.0);
    format!("{} %", text.trim_end_matches('0').trim_end_matches('.'))
}

/// Formats a size in decimal megabytes, the unit of app stores: `2.71 MB`.
pub(crate) fn megabytes(n_bytes: u64) -> String {
    format!("{:.2} MB", n_bytes as f64 / 1e6)
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    fn check(passed: bool) -> Check {
        Check {
            name: "perplexity".to_owned(),
            on: Some("evaluation".to_owned()),
            baseline: Some("7.1200".to_owned()),
            measured: "7.2010".to_owned(),
            value: Some(7.201),
            baseline_value: Some(7.12),
            interval: Some(Interval::new(7.1..7.3, |end| format!("{end:.2}"))),
            baseline_interval: None,
            delta: Some(signed_percent(0.0114)),
            limit: "at most +2 %".to_owned(),
            limits: BTreeMap::from([("max-increase".to_owned(), 0.02)]),
            passed,
            ..Check::default()
        }
    }

    #[test]
    fn one_miss_fails_the_verdict() {
        assert!(Verdict::new(vec![check(true)]).passed);
        assert!(!Verdict::new(vec![check(true), check(false)]).passed);
    }

    #[test]
    fn a_check_that_did_not_run_is_neither_passed_nor_missed_unless_it_is_required() {
        let reason = || "mlx-lm is not installed".to_owned();
        let optional = Check::not_run("runtime-parity", "evaluation", reason(), false);
        let verdict = Verdict::new(vec![check(true), optional]);
        assert_eq!((verdict.passed, verdict.n_passed(), verdict.n_not_run()), (true, 1, 1));
        expect![[r#"
            gate                          baseline  measured  95 % interval  change   limit
            perplexity on evaluation      7.1200    7.2010    7.10 to 7.30   +1.14 %  at most +2 %  pass
            runtime-parity on evaluation  -         not run   -              -        none          not run
        "#]]
        .assert_eq(&verdict.table());
        assert_eq!(Verdict::from_json(verdict.to_json().as_bytes()).unwrap(), verdict);
        let required = Check::not_run("runtime-parity", "evaluation", reason(), true);
        assert!(required.is_miss() && !Verdict::new(vec![check(true), required]).passed);
    }

    #[test]
    fn the_table_is_aligned_and_the_json_reads_back() {
        let verdict = Verdict::new(vec![check(true)]);
        expect![[r#"
            gate                      baseline  measured  95 % interval  change   limit
            perplexity on evaluation  7.1200    7.2010    7.10 to 7.30   +1.14 %  at most +2 %  pass
        "#]]
        .assert_eq(&verdict.table());
        assert_eq!(Verdict::from_json(verdict.to_json().as_bytes()).unwrap(), verdict);
        assert_eq!(percent(0.025), "2.5 %");
        assert_eq!(percent(0.02), "2 %");
    }
}
