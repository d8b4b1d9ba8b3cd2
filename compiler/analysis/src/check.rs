//! Everything that is wrong, for people to read.
//!
//! No query: spans are looked up here, after the queries that do not depend on them.

use std::collections::BTreeSet;

use mc_ir::attribute::Place;
use mc_ir::fault::Fault;
use mc_ir::label::{Label, PackageId, Pattern};

use crate::analyze::analyze_target;
use crate::db::Db;
use crate::diagnostic::FileDiagnostic;
use crate::keys::{package_key, target_key};
use crate::lowering::diagnostic;
use crate::package::{Spans, lower, package_of, spans_of};
use crate::path::package_file;
use crate::patterns::{labels, packages_of};
use crate::resolve::{Resolution, resolve_label};
use crate::walk::{MAX_CHAIN, Walk, walk};
use crate::workspace::workspace_diagnostics;

/// Everything that is wrong with the workspace's settings, with the targets that the patterns stand for, with all that
/// they need, and with the files that declare any of these. Sorted by file and place, each mistake once.
///
/// A pattern that stands for nothing is no mistake of a file: [`labels`] reports it.
pub fn check(db: &dyn Db, patterns: &[Pattern]) -> Vec<FileDiagnostic> {
    let roots = roots(db, patterns);
    let walk = walk(db, &roots);
    let mut found = declaration_diagnostics(db, patterns, &walk);
    for label in &walk.order {
        let analysis = analyze_target(db, target_key(db, label));
        found.extend(analysis.faults.iter().map(|fault| fault_diagnostic(db, label, fault)));
    }
    found.extend(chain_diagnostics(db, &walk));
    found.sort_by(FileDiagnostic::order);
    found.dedup();
    found
}

/// Everything that is wrong with what was written, before any rule is asked what it means.
pub(crate) fn declaration_diagnostics(db: &dyn Db, patterns: &[Pattern], walk: &Walk) -> Vec<FileDiagnostic> {
    let mut found = workspace_diagnostics(db);
    let mut packages = packages_of(db, patterns);
    packages.extend(walk.reached.iter().map(|label| label.package.clone()));
    for id in &packages {
        let lowered = lower(db, package_key(db, id));
        let here = |diagnostic| FileDiagnostic::new(db, &package_file(id), diagnostic);
        found.extend(lowered.diagnostics.iter().cloned().map(here));
    }
    found
}

/// The targets to begin with; for a wide pattern also the parts that its targets expand into.
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

fn chain_diagnostics(db: &dyn Db, walk: &Walk) -> Vec<FileDiagnostic> {
    let cycles = walk.cycles.iter().filter_map(|cycle| {
        let (first, place) = cycle.first()?;
        let chain: Vec<String> =
            cycle.iter().map(|(label, _)| label).chain([first]).map(|label| format!("`{label}`")).collect();
        let fault =
            Fault::new(*place, "label::cycle", format!("Targets need each other: {}", chain.join(" → ")));
        let mut diagnostic = fault_diagnostic(db, first, &fault);
        for (index, (label, place)) in cycle.iter().enumerate().skip(1) {
            let (next, _) = &cycle[(index + 1) % cycle.len()];
            diagnostic.add_related(db, site(db, label, *place), &format!("`{label}` names `{next}` here"));
        }
        Some(diagnostic)
    });
    let too_long = walk.too_long.iter().map(|label| {
        let message = format!("`{label}` needs a chain of more than {MAX_CHAIN} targets");
        fault_diagnostic(db, label, &Fault::new(Place(0), "label::chain", message))
    });
    cycles.chain(too_long).collect()
}

fn fault_diagnostic(db: &dyn Db, label: &Label, fault: &Fault) -> FileDiagnostic {
    let (id, spans, declared) = declaration(db, label);
    FileDiagnostic::new(db, &package_file(&id), diagnostic(&spans, &declared, fault))
}

/// Where a place of a target is: the file and the span.
fn site(db: &dyn Db, label: &Label, place: Place) -> (String, mc_syntax::span::Span) {
    let (id, spans, declared) = declaration(db, label);
    let start = mc_syntax::span::Span { start: 0, end: 0 };
    (package_file(&id), spans.span(&declared, place).unwrap_or(start))
}

/// The package, the span table and the name that a target was declared under.
fn declaration(db: &dyn Db, label: &Label) -> (PackageId, std::sync::Arc<Spans>, String) {
    let owner = match resolve_label(db, label) {
        Resolution::Found(target) => target.expanded_from.clone().unwrap_or_else(|| label.clone()),
        Resolution::Broken | Resolution::Unknown(_) => label.clone(),
    };
    let spans = spans_of(db, &owner.package);
    (owner.package, spans, owner.name)
}
