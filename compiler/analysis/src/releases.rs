//! Detects targets that would ship different files under one name.
//!
//! Compares only the targets of one command, so that no others are analyzed. This is not a query.

use std::collections::BTreeMap;

use mc_ir::action::Artifact;
use mc_ir::label::Label;

use crate::analyze::analyze_target;
use crate::db::Db;
use crate::keys::target_key;

/// A file name that two targets use for different files.
pub(crate) struct SharedName {
    /// The name.
    pub(crate) file: String,
    /// The first target that uses it, by label.
    pub(crate) first: Label,
    /// The other target.
    pub(crate) second: Label,
}

/// Returns the names that several of these targets use for different files; each pair of targets is listed once.
pub(crate) fn shared_names(db: &dyn Db, targets: &[Label]) -> Vec<SharedName> {
    let mut targets: Vec<&Label> = targets.iter().collect();
    targets.sort();
    let mut known: BTreeMap<String, (Label, Artifact)> = BTreeMap::new();
    let mut shared: Vec<SharedName> = Vec::new();
    for label in targets {
        let analysis = analyze_target(db, target_key(db, label));
        let Ok(providers) = &analysis.providers else { continue };
        for (file, artifact) in &providers.releases {
            match known.get(file) {
                None => {
                    known.insert(file.clone(), (label.clone(), artifact.clone()));
                }
                Some((first, known)) if known != artifact => {
                    let is_told = shared.iter().any(|told| told.first == *first && told.second == *label);
                    if !is_told {
                        let (first, second) = (first.clone(), label.clone());
                        shared.push(SharedName { file: file.clone(), first, second });
                    }
                }
                Some(_) => {}
            }
        }
    }
    shared
}
