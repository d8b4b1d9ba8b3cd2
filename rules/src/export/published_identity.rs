//! The facts that a file publishes about its model.
//!
//! A plain conversion has the facts of its checkpoint, as llama.cpp's converter writes them. If the weights of a model
//! were changed, its checkpoints are its parents; the same holds for a quantized model whose checkpoint names no
//! parent.

use mc_exporter::identity::{Identity, Parent};

use crate::source::about::Change;
use crate::source::model_info::{Lineage, ModelInfo};

/// Returns the published facts for a file.
///
/// * `is_quantized`: true if the file stores the weights in blocks
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

/// Returns the checkpoints from which a model was made, each once.
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
