//! Verdicts of gates: for people with the verdict first and the limit below, for programs as JSON; failed gates as
//! errors.

use mc_driver::build::targets::GateResult;
use mc_rules::evaluate::verdict::{Check, NOT_RUN, Verdict};
use mc_syntax::terminal::{Markup, Paint, printable};
use serde_json::{Value, json};

use crate::invocation::Invocation;
use crate::render::plural::plural;
use crate::render::printable::{cut, cut_label};
use crate::report::Report;

/// Columns before the name of a check: two spaces, the verdict, two spaces.
const INDENT: usize = 8;

/// Columns before the label of a gate.
const LABEL_COLUMN: usize = 13;

/// Names are not shortened below this many columns.
const MIN_NAME: usize = 12;

/// Measured values with more characters than this go on a separate line.
const MAX_MEASURED: usize = 30;

/// The verdicts as JSON.
pub(crate) fn json(gates: &[GateResult]) -> Vec<Value> {
    let gate = |gate: &GateResult| {
        let Verdict { passed, checks } = &gate.verdict;
        json!({ "label": gate.label.to_string(), "passed": passed, "cached": gate.is_cached, "checks": checks })
    };
    gates.iter().map(gate).collect()
}

/// Prints an error for each failed gate, with its measurements.
pub(crate) fn report_gates(invocation: &Invocation, gates: &[GateResult]) {
    if invocation.is_json() {
        return;
    }
    for gate in gates.iter().filter(|gate| !gate.verdict.passed) {
        let failed = gate.verdict.checks.iter().filter(|check| check.is_miss());
        let because: Vec<String> = failed.map(reason).collect();
        invocation.error(&Report::failed("Gate failed").at(&gate.label).because(because.join("\n")));
    }
}

fn reason(check: &Check) -> String {
    let on = check.on.as_ref().map(|on| format!(" on {on}")).unwrap_or_default();
    let delta = check.delta.as_ref().map(|delta| format!(" ({delta})")).unwrap_or_default();
    let measured = match &check.not_run {
        Some(reason) => printable(&format!("{NOT_RUN}: {reason}")).into_owned(),
        None => check.measured.clone(),
    };
    let example = check
        .example
        .as_ref()
        .map(|example| printable(&format!("\n{example}")).into_owned())
        .unwrap_or_default();
    format!("{}{on}: {measured}{delta}, limit {}{example}", check.name, check.limit)
}

/// All verdicts with their checks, and a line that counts them.
///
/// * `width`: maximum columns of a line, if limited
pub(crate) fn text(gates: &[GateResult], width: Option<usize>) -> Markup {
    let mut text = Markup::default();
    for gate in gates {
        let (paint, word) =
            if gate.verdict.passed { (Paint::Green, "passed") } else { (Paint::Red, "gate failed") };
        text.painted(paint, word);
        let cached = if gate.is_cached { " (cached)" } else { "" };
        let n_label = width.map_or(usize::MAX, |width| width.saturating_sub(LABEL_COLUMN + cached.len()));
        let label = cut_label(&gate.label.to_string(), n_label);
        text.text(format!("{:n_spaces$}{label}{cached}\n", "", n_spaces = LABEL_COLUMN - word.len()));
        text.append(rows(&gate.verdict, width));
    }
    let n_failed = gates.iter().filter(|gate| !gate.verdict.passed).count();
    let n_gates = gates.len();
    let not_run = not_run(gates.iter());
    text.text(format!(
        "{n_gates} gate{}: {} passed, {n_failed} failed{not_run}\n",
        plural(n_gates),
        n_gates - n_failed
    ));
    text
}

/// The number of checks that did not run, for the end of a line; empty if all did.
pub(crate) fn not_run<'a>(gates: impl Iterator<Item = &'a GateResult>) -> String {
    match gates.map(|gate| gate.verdict.n_not_run()).sum::<usize>() {
        0 => String::new(),
        n_checks => format!(", {n_checks} check{} not run", plural(n_checks)),
    }
}

/// The word for a check: it passed, it failed, or it did not run.
fn word(check: &Check) -> (Paint, &'static str) {
    match (check.passed, check.is_miss()) {
        (true, _) => (Paint::Green, "pass"),
        (false, true) => (Paint::Red, "FAIL"),
        (false, false) => (Paint::Yellow, "skip"),
    }
}

/// The checks of a verdict: each with its verdict first, and its limit in the lines below.
///
/// * `width`: maximum columns of a line, if limited
pub(crate) fn rows(verdict: &Verdict, width: Option<usize>) -> Markup {
    let widest = |cell: fn(&Check) -> String| {
        verdict.checks.iter().map(|check| cell(check).chars().count()).max().unwrap_or_default()
    };
    let (n_measured, n_delta) = (widest(measured), widest(delta));
    let n_beside = INDENT + 2 + n_measured + if n_delta > 0 { 2 + n_delta } else { 0 };
    let n_left = width.map_or(usize::MAX, |width| width.saturating_sub(n_beside));
    let n_name = widest(name).min(n_left.max(MIN_NAME));
    let mut rows = Markup::default();
    for check in &verdict.checks {
        rows.text("  ");
        let (paint, word) = word(check);
        rows.painted(paint, word);
        let name = cut(&name(check), n_name);
        let row = format!("  {name:<n_name$}  {:>n_measured$}  {:>n_delta$}", measured(check), delta(check));
        rows.text(format!("{}\n", row.trim_end()));
        for line in wrapped(&details(check), width.map(|width| width.saturating_sub(INDENT))) {
            rows.text(format!("{:INDENT$}{line}\n", ""));
        }
    }
    rows
}

fn name(check: &Check) -> String {
    match &check.on {
        Some(on) => printable(&format!("{} on {on}", check.name)).into_owned(),
        None => printable(&check.name).into_owned(),
    }
}

/// The measured number for its column; empty if the value is a longer text, which goes on a separate line.
fn measured(check: &Check) -> String {
    if is_long(check) { String::new() } else { check.measured.clone() }
}

fn is_long(check: &Check) -> bool {
    check.measured.chars().count() > MAX_MEASURED
}

fn delta(check: &Check) -> String {
    check.delta.clone().unwrap_or_default()
}

/// The limit, and the reference value.
fn details(check: &Check) -> Vec<String> {
    let text = is_long(check).then(|| printable(&check.measured).into_owned());
    let limit = if check.limit == "none" { "no limit".to_owned() } else { check.limit.clone() };
    let baseline = check.baseline.as_ref().map(|baseline| format!("baseline {baseline}"));
    let interval = check.interval.as_ref().map(|interval| format!("95 % interval {}", interval.shown));
    let not_run = check.not_run.as_ref().map(|reason| printable(reason).into_owned());
    let example = check.example.as_ref().map(|example| printable(example).into_owned());
    let tool = check.tool.as_ref().map(|tool| printable(tool).into_owned());
    [text, not_run, Some(limit), baseline, interval, tool, example].into_iter().flatten().collect()
}

/// Joins the parts by semicolons into lines of at most `width` columns. Breaks a longer part at its spaces.
fn wrapped(parts: &[String], width: Option<usize>) -> Vec<String> {
    let width = width.unwrap_or(usize::MAX);
    let mut lines: Vec<String> = Vec::new();
    for (number, part) in (1..).zip(parts) {
        let part = if number < parts.len() { format!("{part};") } else { part.clone() };
        let n_chars = |text: &str| text.chars().count();
        let has_room = |line: &String, text: &str| n_chars(line) + 1 + n_chars(text) <= width;
        match lines.last_mut() {
            Some(line) if has_room(line, &part) => line.push_str(&format!(" {part}")),
            _ if n_chars(&part) <= width => lines.push(part),
            _ => {
                lines.push(String::new());
                for word in part.split(' ') {
                    match lines.last_mut() {
                        Some(line) if line.is_empty() => line.push_str(word),
                        Some(line) if has_room(line, word) => line.push_str(&format!(" {word}")),
                        _ => lines.push(word.to_owned()),
                    }
                }
            }
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use mc_rules::evaluate::interval::Interval;

    use super::*;

    fn verdict() -> Verdict {
        let perplexity = Check {
            name: "perplexity".to_owned(),
            on: Some("//models/roadtrip:evaluation-of-long-drives".to_owned()),
            baseline: Some("7.1200".to_owned()),
            measured: "7.4010".to_owned(),
            value: Some(7.401),
            baseline_value: Some(7.12),
            interval: Some(Interval { low: 7.3, high: 7.5, shown: "7.30 to 7.50".to_owned() }),
            baseline_interval: None,
            delta: Some("+3.95 %".to_owned()),
            limit: "at most +2 %".to_owned(),
            ..Check::default()
        };
        let size = Check {
            name: "size".to_owned(),
            on: None,
            baseline: None,
            measured: "2.71 MB".to_owned(),
            value: Some(2.71e6),
            baseline_value: None,
            interval: None,
            delta: None,
            limit: "at most 3.00 MB".to_owned(),
            passed: true,
            ..perplexity.clone()
        };
        Verdict::new(vec![perplexity, size])
    }

    #[test]
    fn checks_fit_80_columns() {
        expect![[r#"
            checks
              FAIL  perplexity on //models/roa…p:evaluation-of-long-drives   7.4010  +3.95 %
                    at most +2 %; baseline 7.1200; 95 % interval 7.30 to 7.50
              pass  size                                                    2.71 MB
                    at most 3.00 MB
        "#]]
        .assert_eq(&format!("checks\n{}", rows(&verdict(), Some(80))));
    }

    #[test]
    fn checks_fit_60_columns() {
        expect![[r#"
            checks
              FAIL  perplexity on //…on-of-long-drives   7.4010  +3.95 %
                    at most +2 %; baseline 7.1200;
                    95 % interval 7.30 to 7.50
              pass  size                                2.71 MB
                    at most 3.00 MB
        "#]]
        .assert_eq(&format!("checks\n{}", rows(&verdict(), Some(60))));
    }

    #[test]
    fn without_a_limit_names_are_not_shortened() {
        expect![[r#"
            checks
              FAIL  perplexity on //models/roadtrip:evaluation-of-long-drives   7.4010  +3.95 %
                    at most +2 %; baseline 7.1200; 95 % interval 7.30 to 7.50
              pass  size                                                       2.71 MB
                    at most 3.00 MB
        "#]]
        .assert_eq(&format!("checks\n{}", rows(&verdict(), None)));
    }

    #[test]
    fn a_long_text_goes_on_a_separate_line() {
        let long = "6 of 26 texts differ: a built-in text, from byte 21 on: the checkpoint has 263, the GGUF has 220 and 263";
        let check = Check { measured: long.to_owned(), on: None, delta: None, ..verdict().checks[0].clone() };
        let verdict = Verdict::new(vec![Check { baseline: None, interval: None, ..check }]);
        expect![[r#"
            checks
              FAIL  perplexity
                    6 of 26 texts differ: a built-in text, from byte 21
                    on: the checkpoint has 263, the GGUF has 220 and
                    263; at most +2 %
        "#]]
        .assert_eq(&format!("checks\n{}", rows(&verdict, Some(60))));
    }

    #[test]
    fn a_check_that_did_not_run_says_why_and_a_failed_one_shows_an_example() {
        let mut verdict = verdict();
        verdict.checks[0].example = Some("answer 3 to \"Where?\": \"there there there there\"".to_owned());
        verdict.checks[1] = Check {
            name: "runtime-parity".to_owned(),
            measured: NOT_RUN.to_owned(),
            limit: "none".to_owned(),
            not_run: Some("mlx-lm is not installed".to_owned()),
            ..Check::default()
        };
        expect![[r#"
            checks
              FAIL  perplexity on //models/roa…p:evaluation-of-long-drives   7.4010  +3.95 %
                    at most +2 %; baseline 7.1200; 95 % interval 7.30 to 7.50;
                    answer 3 to "Where?": "there there there there"
              skip  runtime-parity                                          not run
                    mlx-lm is not installed; no limit
        "#]]
        .assert_eq(&format!("checks\n{}", rows(&verdict, Some(80))));
    }

    #[test]
    fn a_verdict_is_colored() {
        let shown = rows(&verdict(), Some(80)).show(true);
        assert!(
            shown.contains("\u{1b}[1;31mFAIL\u{1b}[0m") && shown.contains("\u{1b}[1;32mpass\u{1b}[0m"),
            "{shown}"
        );
    }
}
