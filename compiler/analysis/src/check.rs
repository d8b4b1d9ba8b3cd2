//! Collects the diagnostics of a workspace, for display.
//!
//! Not a query: spans are looked up here, after the queries that do not depend on them.

use std::collections::{BTreeMap, BTreeSet};

use mc_ir::attribute::Place;
use mc_ir::label::{Label, PackageId, Pattern};
use mc_ir::rule_error::RuleError;
use mc_syntax::diagnostic::Diagnostic;

use crate::analyze::analyze_target;
use crate::db::Db;
use crate::diagnostic::{Collector, Diagnostics, FileDiagnostic};
use crate::keys::{package_key, target_key};
use crate::lowering::diagnostic;
use crate::package::Spans;
use crate::packages::{lower, package_of, spans_of};
use crate::path::{WORKSPACE_FILE, package_file};
use crate::patterns::{labels, packages_of};
use crate::releases::{SharedName, shared_names};
use crate::resolve::{Resolution, owner, resolve_label};
use crate::walk::{MAX_CHAIN, Walk, walk};
use crate::workspace::workspace_diagnostics;

/// Returns the diagnostics of the workspace's settings, of the targets that the patterns match, of all their
/// dependencies, and of the files that declare any of these. Each diagnostic appears once, and of each file only the
/// first ones.
///
/// A pattern without matches is not a diagnostic of a file: [`labels`] reports it.
pub fn check(db: &dyn Db, patterns: &[Pattern]) -> Diagnostics {
    checked(db, patterns, &mut |_, _| false)
}

/// Same as [`check`], but files that are absent on this machine are not errors: instead returns the targets that could
/// not be checked without them.
pub fn check_without_weights(db: &dyn Db, patterns: &[Pattern]) -> (Diagnostics, Vec<LeftOut>) {
    let mut absences = BTreeMap::new();
    let diagnostics = checked(db, patterns, &mut |label, rule_error| {
        if rule_error.is_absence {
            absences.entry(owner(db, label)).or_insert_with(|| absence(rule_error));
        }
        rule_error.is_absence
    });
    let walk = walk(db, &roots(db, patterns));
    (diagnostics, left_out(db, &walk, absences))
}

/// The text of an absence: the error, and what helps.
fn absence(error: &RuleError) -> String {
    error.help.as_ref().map_or_else(|| error.message.clone(), |help| format!("{}; {help}", error.message))
}

/// A target of which only the declaration was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// The target, as declared.
    pub label: Label,
    /// The absent files, or the target that depends on them.
    pub reason: Absence,
}

/// The reason why a target could not be checked completely.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Absence {
    /// Its own files are absent on this machine.
    Files(String),
    /// It depends on another target that could not be checked.
    Needs(Label),
}

/// Returns the targets whose files are absent, and those that depend on them, sorted by label.
///
/// * `walk`: dependencies come before the targets that need them
fn left_out(db: &dyn Db, walk: &Walk, absences: BTreeMap<Label, String>) -> Vec<LeftOut> {
    let mut found: BTreeMap<Label, Absence> =
        absences.into_iter().map(|(label, message)| (label, Absence::Files(message))).collect();
    for label in &walk.order {
        let owner = owner(db, label);
        let Resolution::Found(target) = resolve_label(db, label) else { continue };
        if found.contains_key(&owner) || analyze_target(db, target_key(db, label)).providers.is_ok() {
            continue;
        }
        let needed =
            target.record.labels().into_iter().map(|placed| crate::resolve::owner(db, &placed.value));
        if let Some(needed) = needed.into_iter().find(|needed| found.contains_key(needed)) {
            found.insert(owner, Absence::Needs(needed));
        }
    }
    found.into_iter().map(|(label, reason)| LeftOut { label, reason }).collect()
}

/// * `is_left_out`: returns true if an error of a target is not reported
fn checked(
    db: &dyn Db,
    patterns: &[Pattern],
    is_left_out: &mut dyn FnMut(&Label, &RuleError) -> bool,
) -> Diagnostics {
    let roots = roots(db, patterns);
    let walk = walk(db, &roots);
    let mut collector = Collector::default();
    collect_declarations(db, patterns, &walk, &mut collector);
    for label in &walk.order {
        let analysis = analyze_target(db, target_key(db, label));
        for rule_error in &analysis.rule_errors {
            if !is_left_out(label, rule_error) {
                collector.push(rule_error_diagnostic(db, label, rule_error));
            }
        }
        collect_unknown(db, label, &mut collector);
    }
    collect_chains(db, &walk, &mut collector);
    collect_shared_names(db, &walk, &mut collector);
    collector.finish(db)
}

/// Collects the errors in declarations, which are found before any rule runs.
pub(crate) fn collect_declarations(
    db: &dyn Db,
    patterns: &[Pattern],
    walk: &Walk,
    collector: &mut Collector,
) {
    let (found, n_more) = workspace_diagnostics(db);
    collect_file(db, WORKSPACE_FILE, found, n_more, collector);
    let mut packages = packages_of(db, patterns);
    packages.extend(walk.reached.iter().map(|label| label.package.clone()));
    for id in &packages {
        let lowered = lower(db, package_key(db, id));
        collect_file(db, &package_file(id), &lowered.diagnostics, lowered.n_more, collector);
    }
}

fn collect_file(db: &dyn Db, path: &str, found: &[Diagnostic], n_more: usize, collector: &mut Collector) {
    for diagnostic in found {
        collector.push(FileDiagnostic::new(db, path, diagnostic.clone()));
    }
    collector.count(path, n_more);
}

/// Collects the labels in a target that refer to no target.
fn collect_unknown(db: &dyn Db, label: &Label, collector: &mut Collector) {
    let Resolution::Found(target) = resolve_label(db, label) else { return };
    for placed in target.record.labels() {
        if let Resolution::Unknown(message) = resolve_label(db, &placed.value) {
            let rule_error = RuleError::new(placed.place, "label::unknown", message);
            collector.push_unknown(rule_error_diagnostic(db, label, &rule_error), placed.value);
        }
    }
}

/// The targets where the walk starts; for a wide pattern, including the parts into which its targets expand.
pub(crate) fn roots(db: &dyn Db, patterns: &[Pattern]) -> BTreeSet<Label> {
    let mut roots = BTreeSet::new();
    for pattern in patterns {
        match pattern {
            Pattern::Target(_) => roots.extend(labels(db, std::slice::from_ref(pattern)).unwrap_or_default()),
            Pattern::Package(_) | Pattern::Below(_) => {
                for id in packages_of(db, std::slice::from_ref(pattern)) {
                    let package = package_of(db, &id);
                    roots.extend(package.names().map(|name| Label::new(id.clone(), name)));
                }
            }
        }
    }
    roots
}

/// Collects the targets that would ship different files under one name.
fn collect_shared_names(db: &dyn Db, walk: &Walk, collector: &mut Collector) {
    for SharedName { file, first, second } in shared_names(db, &walk.order) {
        let place = |label: &Label| match resolve_label(db, label) {
            Resolution::Found(target) => target.record.place,
            Resolution::Broken | Resolution::Unknown(_) => Place(0),
        };
        let message = format!("`{second}` would ship `{file}`, the name of another file of `{first}`");
        let rule_error = RuleError::new(place(&second), "release::name", message)
            .help("Give one of them another `model-name` or `version`");
        let mut diagnostic = rule_error_diagnostic(db, &second, &rule_error);
        diagnostic.add_related(db, site(db, &first, place(&first)), &format!("`{first}` ships it here"));
        collector.push(diagnostic);
    }
}

/// Maximum number of targets of a cycle that a diagnostic lists; the others are counted.
const MAX_NAMED: usize = 8;

fn collect_chains(db: &dyn Db, walk: &Walk, collector: &mut Collector) {
    for cycle in &walk.cycles {
        if let Some(diagnostic) = cycle_diagnostic(db, cycle) {
            collector.push(diagnostic);
        }
    }
    for (package, n_more) in &walk.more_cycles {
        collector.count(&package_file(package), *n_more);
    }
    for label in &walk.too_long {
        let message = format!("`{label}` depends on a chain of more than {MAX_CHAIN} targets");
        collector.push(rule_error_diagnostic(db, label, &RuleError::new(Place(0), "label::chain", message)));
    }
}

fn cycle_diagnostic(db: &dyn Db, cycle: &[(Label, Place)]) -> Option<FileDiagnostic> {
    let (first, place) = cycle.first()?;
    let named = &cycle[..cycle.len().min(MAX_NAMED)];
    let mut chain: Vec<String> = named.iter().map(|(label, _)| format!("`{label}`")).collect();
    let n_left = cycle.len() - named.len();
    if n_left > 0 {
        chain.push(format!("… {n_left} more …"));
    }
    chain.push(format!("`{first}`"));
    let message = format!("Targets depend on each other: {}", chain.join(" → "));
    let mut diagnostic = rule_error_diagnostic(db, first, &RuleError::new(*place, "label::cycle", message));
    for (index, (label, place)) in named.iter().enumerate().skip(1) {
        let (next, _) = &cycle[(index + 1) % cycle.len()];
        diagnostic.add_related(db, site(db, label, *place), &format!("`{label}` names `{next}` here"));
    }
    Some(diagnostic)
}

fn rule_error_diagnostic(db: &dyn Db, label: &Label, rule_error: &RuleError) -> FileDiagnostic {
    let (id, spans, declared) = declaration(db, label);
    FileDiagnostic::new(db, &package_file(&id), diagnostic(&spans, &declared, rule_error))
}

/// Location of a place of a target: the file and the span.
fn site(db: &dyn Db, label: &Label, place: Place) -> (String, mc_syntax::span::Span) {
    let (id, spans, declared) = declaration(db, label);
    let start = mc_syntax::span::Span { start: 0, end: 0 };
    (package_file(&id), spans.span(&declared, place).unwrap_or(start))
}

/// The package, its span table and the name under which the target was declared.
fn declaration(db: &dyn Db, label: &Label) -> (PackageId, std::sync::Arc<Spans>, String) {
    let owner = owner(db, label);
    let spans = spans_of(db, &owner.package);
    (owner.package, spans, owner.name)
}
