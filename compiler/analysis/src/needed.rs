//! Declarations of the targets that some others need, without asking what they mean: for whoever has to prepare
//! something before the analysis can run.

use std::sync::Arc;

use mc_ir::label::Pattern;
use mc_ir::target::Target;

use crate::check::{collect_declarations, roots};
use crate::db::Db;
use crate::diagnostic::{Collector, Diagnostics};
use crate::resolve::{Resolution, resolve_label};
use crate::walk::walk;

/// The targets that the patterns stand for and all that they need, sorted by label.
///
/// # Errors
/// What is wrong with the files that declare them, behind which other targets may hide.
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
