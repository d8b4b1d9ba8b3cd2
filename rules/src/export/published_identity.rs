//! The facts that a file publishes about its model.
//!
//! Those of a plain conversion are the checkpoint's, as llama.cpp's converter writes them. A model whose weights were
//! changed names its checkpoints as parents; so does a quantized one whose checkpoint names no parent.

use mc_exporter::identity::{Identity, Parent};

use crate::source::about::Change;
use crate::source::model_info::{Lineage, ModelInfo};

/// The facts about a model for a file.
///
/// * `is_quantized`: tells whether the file stores the weights in blocks
pub(crate) fn published_identity(model: &ModelInfo, is_quantized: bool) -> Identity {
    let identity = model.about.identity.clone();
    if model.about.change != Change::None {
        return Identity { base_models: checkpoints(model), ..identity };
    }
    if is_quantized && identity.base_models.is_empty() {
        return Identity { base_models: checkpoints(model), ..identity };
    }
    identity
}

/// The checkpoints that a model was made of, each once.
fn checkpoints(model: &ModelInfo) -> Vec<Parent> {
    let mut parents: Vec<Parent> = Vec::new();
    for lineage in model.lineage.iter().filter(|lineage| Lineage::is_checkpoint(lineage)) {
        let parent = lineage.published.parent();
        if !parents.contains(&parent) {
            parents.push(parent);
        }
    }
    parents
}
