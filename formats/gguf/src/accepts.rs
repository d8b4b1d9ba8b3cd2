//! What files cannot say about a model.

use mc_exporter::model_description::ModelDescription;
use mc_exporter::refusal::Refusal;

/// Every reason for which a file cannot hold a model.
pub(crate) fn refusals(model: &ModelDescription<'_>) -> Vec<Refusal> {
    let _ = model;
    Vec::new()
}
