//! Data available to every query: the rules, the workspace root, and files.
//!
//! The rules and the root are fixed for the lifetime of a database. Files are salsa inputs, so a query that read one
//! runs again after the file changed.

use std::path::Path;

use mc_ir::rule::Rule;

use crate::source_file::{Request, SourceFile};

/// A rule of the database's table.
pub type AnyRule = dyn Rule;

/// The database, as seen by queries.
#[salsa::db]
pub trait Db: salsa::Database {
    /// The rule table, in the order of the manual.
    fn rules(&self) -> &'static [&'static AnyRule];

    /// The folder of `workspace.kdl`.
    fn root(&self) -> &Path;

    /// The answer of the file system, now or when it was first requested in this revision.
    fn source_file(&self, request: Request) -> SourceFile;
}

/// The rule with the KDL name.
pub(crate) fn rule(db: &dyn Db, name: &str) -> Option<&'static AnyRule> {
    db.rules().iter().copied().find(|rule| rule.schema().name == name)
}
