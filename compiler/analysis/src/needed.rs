//! Declarations of the targets that some others need, without asking what they mean: for whoever has to prepare
//! something before the analysis can run.

use std::sync::Arc;

use mc_ir::label::Pattern;
use mc_ir::target::Target;

use crate::check::{declaration_diagnostics, roots};
use crate::db::Db;
use crate::diagnostic::FileDiagnostic;
use crate::resolve::{Resolution, resolve_label};
use crate::walk::walk;

/// The targets that the patterns stand for and all that they need, sorted by label.
///
/// # Errors
/// What is wrong with the files that declare them, behind which other targets may hide.
pub fn needed(db: &dyn Db, patterns: &[Pattern]) -> Result<Vec<Arc<Target>>, Vec<FileDiagnostic>> {
    let roots = roots(db, patterns);
    let walk = walk(db, &roots);
    let mut diagnostics = declaration_diagnostics(db, patterns, &walk);
    if !diagnostics.is_empty() {
        diagnostics.sort_by(FileDiagnostic::order);
        return Err(diagnostics);
    }
    let found = walk.reached.into_iter().filter_map(|label| match resolve_label(db, &label) {
        Resolution::Found(target) => Some(target),
        Resolution::Broken | Resolution::Unknown(_) => None,
    });
    Ok(found.collect())
}
