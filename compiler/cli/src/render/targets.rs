//! The result of a build: a line for each target with its verdict first, and the checks of failed gates. With
//! `--verbose`, also the checks that passed and every file.

use std::path::{Path, PathBuf};

use mc_driver::build::publish::Published;
use mc_driver::build::targets::{Finished, GateResult, Status};
use mc_driver::declarations::Wanted;
use mc_syntax::terminal::{Markup, Paint};

use crate::render::gates;
use crate::render::plural::plural;
use crate::render::printable::cut_label;
use crate::render::size::size;
use crate::render::table::{Align, table};

/// Minimum columns of a label; lines omit their count of checks before labels get shorter than this.
const MIN_LABEL: usize = 24;

/// Form of a result.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Form {
    /// Maximum columns of a line, if limited.
    pub(crate) width: Option<usize>,
    /// True if files and passed checks are listed.
    pub(crate) is_verbose: bool,
}

/// The line of one target.
struct Row {
    paint: Paint,
    verdict: &'static str,
    label: String,
    facts: String,
    /// Number of checks that passed, in words.
    checks: String,
}

/// The result of a build.
pub(crate) fn text(finished: &Finished, published: &[Option<Published>], root: &Path, form: Form) -> Markup {
    let targets = || finished.targets.iter().zip(published);
    let mut rows: Vec<Row> = targets()
        .map(|((target, status), published)| row(finished, target, *status, published.as_ref()))
        .collect();
    let n_verdict = rows.iter().map(|row| row.verdict.len()).max().unwrap_or_default();
    let n_label = fitted(&mut rows, n_verdict, form.width);
    let mut text = Markup::default();
    for (((target, status), published), row) in targets().zip(&rows) {
        text.painted(row.paint, row.verdict);
        let n_spaces = n_verdict - row.verdict.len() + 2;
        let label = cut_label(&row.label, n_label);
        let line = format!("{:n_spaces$}{label:<n_label$}  {}{}", "", row.facts, row.checks);
        text.text(format!("{}\n", line.trim_end()));
        for gate in gates_of(finished, target) {
            if form.is_verbose || (*status == Status::GateFailed && !gate.verdict.passed) {
                text.append(gates::rows(&gate.verdict, form.width));
            }
        }
        if let Some(published) = published.as_ref().filter(|_| form.is_verbose) {
            text.text(outputs(published));
            text.text(format!("  in {}/\n", shown(&published.directory, root).display()));
        }
    }
    if !form.is_verbose {
        text.text(place(published, root));
    }
    text
}

/// Fits rows to a width and returns the width of labels: that of the widest, unless lines would get too long.
fn fitted(rows: &mut [Row], n_verdict: usize, width: Option<usize>) -> usize {
    let widest = |cell: &dyn Fn(&Row) -> usize, rows: &[Row]| rows.iter().map(cell).max().unwrap_or_default();
    let n_label = widest(&|row| row.label.chars().count(), rows);
    let Some(width) = width else { return n_label };
    let n_left = |rows: &[Row]| {
        let n_facts = widest(&|row| row.facts.chars().count() + row.checks.chars().count(), rows);
        width.saturating_sub(n_verdict + 2 + 2 + n_facts)
    };
    if n_left(rows) < n_label.min(MIN_LABEL) {
        rows.iter_mut().for_each(|row| row.checks.clear());
    }
    n_label.min(n_left(rows).max(MIN_LABEL))
}

fn row(finished: &Finished, target: &Wanted, status: Status, published: Option<&Published>) -> Row {
    let n_published = published.map_or(0, |it| it.outputs.len());
    let is_left = target.providers.outputs.len() > n_published;
    let (paint, verdict, facts) = match (status, published) {
        (Status::Built, Some(published)) => {
            let left = if is_left { ", other outputs stay in the caches" } else { "" };
            (Paint::Green, "built", format!("{}{left}", counted(published)))
        }
        (Status::Built, None) if !is_left => (Paint::Green, "built", "no outputs".to_owned()),
        (Status::Built, None) if finished.is_interrupted => {
            (Paint::Yellow, "built", "not published (interrupted)".to_owned())
        }
        (Status::Built, None) => (Paint::Green, "built", "outputs stay in the caches".to_owned()),
        (Status::GateFailed, _) => (Paint::Red, "gate failed", "not published".to_owned()),
        (Status::Failed, _) => (Paint::Red, "not built", String::new()),
    };
    let checks = if status == Status::Built { passed_checks(finished, target) } else { String::new() };
    Row { paint, verdict, label: target.label.to_string(), facts, checks }
}

/// Number and size of the files.
fn counted(published: &Published) -> String {
    let n_files = published.outputs.len();
    let n_bytes: u64 = published.outputs.iter().map(|(_, output)| output.n_bytes()).sum();
    format!("{n_files} file{}, {}", plural(n_files), size(n_bytes))
}

fn passed_checks(finished: &Finished, target: &Wanted) -> String {
    let passed = match gates_of(finished, target).map(|gate| gate.verdict.n_passed()).sum::<usize>() {
        0 => String::new(),
        n_checks => format!(", {n_checks} check{} passed", plural(n_checks)),
    };
    passed + &gates::not_run(gates_of(finished, target))
}

/// The verdicts on a target, including those that appear in another target's line.
fn gates_of<'a>(finished: &'a Finished, target: &'a Wanted) -> impl Iterator<Item = &'a GateResult> {
    finished.gates.iter().filter(|gate| target.providers.gates.contains(&gate.artifact))
}

/// The files with their sizes.
fn outputs(published: &Published) -> String {
    let mut rows: Vec<Vec<String>> =
        published.outputs.iter().map(|(path, output)| vec![path.clone(), size(output.n_bytes())]).collect();
    if rows.len() > 1 {
        let total = published.outputs.iter().map(|(_, output)| output.n_bytes()).sum();
        rows.push(vec!["total".to_owned(), size(total)]);
    }
    let table = table(&[Align::Left, Align::Right], &rows);
    table.lines().map(|line| format!("  {line}\n")).collect()
}

/// The line with the location of the outputs; for several targets, their common folder.
fn place(published: &[Option<Published>], root: &Path) -> String {
    let published: Vec<&Published> = published.iter().flatten().collect();
    let directory = match published.as_slice() {
        [] => return String::new(),
        [only] => only.directory.clone(),
        _ => root.join(mc_driver::workspace::OUT),
    };
    format!("outputs are in {}/\n", shown(&directory, root).display())
}

/// The path relative to the current folder if that is shorter, else unchanged.
fn shown(directory: &Path, root: &Path) -> PathBuf {
    let current = std::env::current_dir().unwrap_or_else(|_| root.to_owned());
    directory.strip_prefix(current).unwrap_or(directory).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_shortened_if_lines_would_get_too_long() {
        let row = |label: &str, facts: &str, checks: &str| Row {
            paint: Paint::Green,
            verdict: "built",
            label: label.to_owned(),
            facts: facts.to_owned(),
            checks: checks.to_owned(),
        };
        let label = "//models/roadtrip:roadtrip-q4km-for-iphones";
        let rows = || [row(label, "8 files, 525 MB", ", 3 checks passed"), row("//models:a", "", "")];
        assert_eq!(fitted(&mut rows(), 11, None), label.len());
        assert_eq!(fitted(&mut rows(), 11, Some(80)), 80 - 11 - 4 - 32);
        let mut narrow = rows();
        assert_eq!(fitted(&mut narrow, 11, Some(60)), 60 - 11 - 4 - 15);
        assert_eq!(narrow[0].checks, "");
    }
}
