//! What every query may ask: the rules, the root of the workspace, and files.
//!
//! The rules and the root stand for the life of a database; files are salsa inputs, so a query that read one runs
//! again when it changed.

use std::path::Path;

use mc_ir::rule::Rule;

use crate::source_file::{Request, SourceFile};

/// A rule of the table that a database was made with.
pub type AnyRule = dyn Rule;

/// The database as queries see it.
#[salsa::db]
pub trait Db: salsa::Database {
    /// The rule table, in the order of the manual.
    fn rules(&self) -> &'static [&'static AnyRule];

    /// The folder of `workspace.kdl`.
    fn root(&self) -> &Path;

    /// What the file system says, now or when it was first asked in this revision.
    fn source_file(&self, request: Request) -> SourceFile;
}

/// The rule of a KDL name.
pub(crate) fn rule(db: &dyn Db, name: &str) -> Option<&'static AnyRule> {
    db.rules().iter().copied().find(|rule| rule.schema().name == name)
}
