//! Queries about packages: the list of packages, and the targets that each file declares.
//!
//! *Incremental:* three queries read one file. `lower` runs again whenever the text changes. `package` runs after it
//! and stays equal as long as the meaning of the declarations does, so an edited comment has no effect beyond it.
//! Results that depend on spans (`spans`, and the diagnostics in `lower`) are requested only for display.

use std::sync::Arc;

use mc_ir::label::PackageId;
use mc_syntax::diagnostic::Diagnostic;

use crate::db::Db;
use crate::keys::{PackageKey, package_key};
use crate::lowering::Lowering;
use crate::outside;
use crate::package::{Package, Spans};
use crate::path::package_file;
use crate::source_file::{Content, Request};

/// Everything found in a `package.kdl`.
#[derive(Clone, Debug)]
pub(crate) struct Lowered {
    pub(crate) package: Arc<Package>,
    pub(crate) spans: Arc<Spans>,
    /// Diagnostics of the package, up to a bound.
    pub(crate) diagnostics: Vec<Diagnostic>,
    /// Number of further diagnostics.
    pub(crate) n_more: usize,
}

/// All packages of the workspace, sorted.
#[salsa::tracked(returns(clone))]
pub fn packages(db: &dyn Db) -> Arc<[PackageId]> {
    match db.source_file(Request::Packages).content(db) {
        Ok(Content::Names(names)) => names.iter().cloned().map(PackageId).collect(),
        // A root that cannot be listed is reported with `workspace.kdl`, which is then missing.
        _ => Arc::new([]),
    }
}

/// The targets of a package; none if it does not exist.
pub fn package_of(db: &dyn Db, id: &PackageId) -> Arc<Package> {
    package(db, package_key(db, id))
}

#[salsa::tracked(returns(clone))]
pub(crate) fn package<'db>(db: &'db dyn Db, key: PackageKey<'db>) -> Arc<Package> {
    Arc::clone(&lower(db, key).package)
}

/// The spans of the places of a package's targets.
pub fn spans_of(db: &dyn Db, id: &PackageId) -> Arc<Spans> {
    spans(db, package_key(db, id))
}

#[salsa::tracked(returns(clone))]
fn spans<'db>(db: &'db dyn Db, key: PackageKey<'db>) -> Arc<Spans> {
    Arc::clone(&lower(db, key).spans)
}

#[salsa::tracked(returns(ref), no_eq)]
pub(crate) fn lower<'db>(db: &'db dyn Db, key: PackageKey<'db>) -> Lowered {
    let id = key.id(db);
    let parsed = match outside::parse_permitted(db, &package_file(id)) {
        Ok(parsed) => parsed,
        Err(refusal) => return refused(refusal),
    };
    let mut lowering = Lowering::new(db, id);
    let nodes = parsed.declarations();
    if let Some(nodes) = &nodes {
        lowering.file(nodes, |node| parsed.is_broken(node));
    }
    let mut lowered = lowering.finish();
    lowered.package.exists = nodes.is_some();
    lowered.package.is_partial = !parsed.diagnostics.is_empty();
    let (diagnostics, n_more) = lowered.sink.finish();
    Lowered {
        package: Arc::new(lowered.package),
        spans: Arc::new(lowered.spans),
        diagnostics: parsed.diagnostics.iter().cloned().chain(diagnostics).collect(),
        n_more: parsed.n_more + n_more,
    }
}

/// A package whose file is forbidden to read.
fn refused(refusal: Diagnostic) -> Lowered {
    let package = Package { is_partial: true, ..Package::default() };
    Lowered { package: Arc::new(package), spans: Arc::default(), diagnostics: vec![refusal], n_more: 0 }
}
