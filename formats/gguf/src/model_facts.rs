//! Facts about a model that its keys state, besides the decoder and the vocabulary.

use mc_exporter::identity::Identity;
use mc_exporter::model_facts::SamplingDefaults;

/// Facts for the keys, besides the decoder and the vocabulary.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ModelFacts {
    /// The model's name: `general.name`.
    pub name: String,
    /// The program that quantized the model, if any.
    pub quantized_by: Option<String>,
    /// The published facts about the model.
    pub identity: Identity,
    /// Number of the model's parameters, formatted by [`crate::keys::size_label`].
    pub size_label: String,
    /// The number of the recipe: `general.file_type`.
    pub file_type: u32,
    /// True if the configuration states the width of a head; otherwise the reader computes it.
    pub has_head_dim: bool,
    /// Sampling defaults, from `generation_config.json`.
    pub sampling: SamplingDefaults,
}
