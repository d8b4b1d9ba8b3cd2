//! Declarations of targets and their dependencies, without running rules: for callers that prepare something before the
//! analysis can run.

use std::sync::Arc;

use mc_ir::label::Pattern;
use mc_ir::target::Target;

use crate::check::{collect_declarations, roots};
use crate::db::Db;
use crate::diagnostic::{Collector, Diagnostics};
use crate::resolve::{Resolution, resolve_label};
use crate::walk::walk;

/// Returns the targets that the patterns match and all their dependencies, sorted by label.
///
/// # Errors
/// The errors in the files that declare them, because further targets may be hidden behind such errors.
pub fn needed(db: &dyn Db, patterns: &[Pattern]) -> Result<Vec<Arc<Target>>, Diagnostics> {
    let roots = roots(db, patterns);
    let walk = walk(db, &roots);
    let mut collector = Collector::default();
    collect_declarations(db, patterns, &walk, &mut collector);
    let diagnostics = collector.finish(db);
    if !diagnostics.is_empty() {
        return Err(diagnostics);
    }
    let found = walk.reached.into_iter().filter_map(|label| match resolve_label(db, &label) {
        Resolution::Found(target) => Some(target),
        Resolution::Broken | Resolution::Unknown(_) => None,
    });
    Ok(found.collect())
}
