//! A checkpoint in a folder, read as the rule `checkpoint` reads it, without a workspace.
//!
//! The declarations are two texts in memory; everything else is on the disk. Links are followed: the user has named the
//! folder.

use std::path::Path;
use std::sync::Arc;

use mc_analysis::analyze::analyze;
use mc_analysis::check::check;
use mc_analysis::database::Database;
use mc_analysis::disk::Disk;
use mc_analysis::file_system::{Entry, FileSystem, Stat};
use mc_ir::label::{Label, PackageId, Pattern};
use mc_ir::rule::SourceError;
use mc_rules::rules::RULES;
use mc_rules::source::model_info::ModelInfo;

use crate::inspect::error::InspectError;

/// The declarations.
const FILES: [(&str, &str); 2] =
    [("workspace.kdl", "workspace \"folder\"\n"), ("package.kdl", "checkpoint \"folder\" dir=\".\"\n")];

/// The model in a folder.
///
/// # Errors
/// If it is not a checkpoint of a known family.
pub fn model_in(folder: &str) -> Result<Arc<ModelInfo>, InspectError> {
    let unmapped = |reason: String| InspectError::Unmapped { path: folder.to_owned(), reason };
    let root = Path::new(folder).canonicalize();
    let root = root.map_err(|source| InspectError::NotFound { path: folder.to_owned(), source })?;
    let db = Database::new(&root, RULES, DeclaredFolder(Disk::new(&root)));
    let label = Label::new(PackageId(String::new()), "folder");
    let analysis = analyze(&db, &label);
    let info = analysis.providers.as_ref().ok().and_then(|providers| providers.get::<ModelInfo>().cloned());
    info.map(Arc::new).ok_or_else(|| {
        let found = check(&db, &[Pattern::Target(label)]);
        let reasons: Vec<String> = found.shown.into_iter().map(|found| found.diagnostic.message).collect();
        unmapped(reasons.join("\n"))
    })
}

/// A folder with declarations that are not on the disk.
struct DeclaredFolder(Disk);

impl DeclaredFolder {
    fn declared(path: &str) -> Option<&'static str> {
        FILES.iter().find(|(name, _)| *name == path).map(|(_, text)| *text)
    }
}

impl FileSystem for DeclaredFolder {
    fn stat(&self, path: &str) -> Result<Stat, SourceError> {
        match Self::declared(path) {
            Some(text) => Ok(Stat { is_folder: false, n_bytes: text.len() as u64, stamp: None }),
            None => self.0.stat(path),
        }
    }

    fn read_start(&self, path: &str, n_bytes: u64) -> Result<Vec<u8>, SourceError> {
        match Self::declared(path) {
            Some(text) => Ok(text.bytes().take(usize::try_from(n_bytes).unwrap_or(usize::MAX)).collect()),
            None => self.0.read_start(path, n_bytes),
        }
    }

    fn list(&self, folder: &str) -> Result<Vec<Entry>, SourceError> {
        self.0.list(folder)
    }
}
