//! The locations and the dependencies of targets, for listings of query results.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use mc_ir::attribute::Place;
use mc_ir::label::{Label, PackageId};
use mc_syntax::line_index::LineIndex;

use crate::db::Db;
use crate::outside::parse_permitted;
use crate::packages::spans_of;
use crate::path::package_file;
use crate::query::targets::Targets;
use crate::resolve::owner;

/// The location of a declaration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// The file, relative to the workspace.
    pub path: String,
    /// The line, counted from 1.
    pub line: usize,
    /// The column, counted from 1.
    pub column: usize,
}

/// Formats as `path:line:column`, which editors and terminals recognize.
impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.path, self.line, self.column)
    }
}

/// Returns the location of each target's declaration, in the same order; a part has the location of the target that
/// expands into it.
pub fn locations(db: &dyn Db, labels: &[Label]) -> Vec<Location> {
    let owners: Vec<Label> = labels.iter().map(|label| owner(db, label)).collect();
    let mut texts: BTreeMap<&PackageId, Arc<str>> = BTreeMap::new();
    for owner in &owners {
        texts.entry(&owner.package).or_insert_with(|| {
            let parsed = parse_permitted(db, &package_file(&owner.package));
            parsed.map_or_else(|_| "".into(), |parsed| Arc::clone(&parsed.text))
        });
    }
    let lines: BTreeMap<&PackageId, LineIndex<'_>> =
        texts.iter().map(|(package, text)| (*package, LineIndex::new(text))).collect();
    let location = |owner: &Label| {
        let spans = spans_of(db, &owner.package);
        let start = spans.span(&owner.name, Place(0)).map_or(0, |span| span.start);
        let place = lines[&owner.package].line_column(start);
        Location { path: package_file(&owner.package), line: place.line, column: place.column }
    };
    owners.iter().map(location).collect()
}

/// Returns the existing targets that a target names.
pub fn named(db: &dyn Db, label: &Label) -> Vec<Label> {
    Targets { db }.named(label).into_iter().collect()
}
