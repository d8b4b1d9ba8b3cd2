//! Targets that would ship different files under one name.
//!
//! Looks at the targets of one command only: others are not analysed for it. No query.

use std::collections::BTreeMap;

use mc_ir::action::Artifact;
use mc_ir::label::Label;

use crate::analyze::analyze_target;
use crate::db::Db;
use crate::keys::target_key;

/// A file name that two targets give to different files.
pub(crate) struct SharedName {
    /// The name.
    pub(crate) file: String,
    /// The target that gives it first, by label.
    pub(crate) first: Label,
    /// The other target.
    pub(crate) second: Label,
}

/// The names that several of these targets give to different files, each pair of targets once.
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
