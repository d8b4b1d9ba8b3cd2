//! Packages: the targets of one `package.kdl`, held against their rules' schemas and expanded.
//!
//! *Incremental:* one file is read by three queries. `lower` runs again whenever the text changes; `package` runs
//! after it and is equal as long as the declarations mean the same, so that a comment stops here; what hangs on spans
//! (`spans`, and the diagnostics in `lower`) is asked for only when somebody looks.

use std::collections::BTreeMap;
use std::sync::Arc;

use mc_ir::attribute::Place;
use mc_ir::label::PackageId;
use mc_ir::target::Target;
use mc_syntax::diagnostic::Diagnostic;
use mc_syntax::span::Span;

use crate::db::Db;
use crate::keys::{PackageKey, package_key};
use crate::lowering::Lowering;
use crate::parse::parse;
use crate::path::package_file;
use crate::source_file::{Content, Request};

/// The targets of a package, without anything that hangs on where they stand.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Package {
    /// Whether there is a `package.kdl`.
    pub exists: bool,
    /// Whether a mistake in the KDL may hide targets.
    pub is_partial: bool,
    /// Every name that was written, also of targets that are wrong.
    pub declared: BTreeMap<String, Declared>,
    /// Every right target, with those that others expand into.
    pub targets: BTreeMap<String, Arc<Target>>,
}

/// A target as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Declared {
    /// Its rule, before expansion; `None` when there is no such rule.
    pub rule: Option<&'static str>,
}

/// Where the places of a package's targets are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spans {
    pub(crate) by_target: BTreeMap<String, Vec<Span>>,
}

impl Package {
    /// All names that a label may use, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let names: std::collections::BTreeSet<&str> =
            self.declared.keys().chain(self.targets.keys()).map(String::as_str).collect();
        names.into_iter()
    }
}

impl Spans {
    /// Where a place of a declared target is; the target's beginning when it has no such place.
    pub fn span(&self, target: &str, place: Place) -> Option<Span> {
        let spans = self.by_target.get(target)?;
        spans.get(usize::try_from(place.0).ok()?).or_else(|| spans.first()).copied()
    }
}

/// Everything that was found in a `package.kdl`.
#[derive(Clone, Debug)]
pub(crate) struct Lowered {
    pub(crate) package: Arc<Package>,
    pub(crate) spans: Arc<Spans>,
    /// Diagnostics of the package, up to a bound.
    pub(crate) diagnostics: Vec<Diagnostic>,
    /// How many more mistakes there are.
    pub(crate) n_more: usize,
}

/// All packages of the workspace, sorted.
#[salsa::tracked(returns(clone))]
pub fn packages(db: &dyn Db) -> Arc<[PackageId]> {
    match db.source_file(Request::Packages).content(db) {
        Ok(Content::Names(names)) => names.iter().cloned().map(PackageId).collect(),
        // A root that cannot be listed is reported with `workspace.kdl`, which is not there then.
        _ => Arc::new([]),
    }
}

/// The targets of a package; none when it does not exist.
pub fn package_of(db: &dyn Db, id: &PackageId) -> Arc<Package> {
    package(db, package_key(db, id))
}

#[salsa::tracked(returns(clone))]
pub(crate) fn package<'db>(db: &'db dyn Db, key: PackageKey<'db>) -> Arc<Package> {
    Arc::clone(&lower(db, key).package)
}

/// Where the places of a package's targets are.
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
    let file = db.source_file(Request::Declarations(package_file(id)));
    let parsed = parse(db, file);
    let mut lowering = Lowering::new(db, id);
    let nodes = parsed.declarations();
    if let Some(nodes) = &nodes {
        lowering.file(nodes);
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
