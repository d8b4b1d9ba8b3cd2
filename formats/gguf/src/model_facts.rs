//! Facts about a model that its keys state besides the decoder and the vocabulary.

use mc_exporter::identity::Identity;
use mc_exporter::model_facts::SamplingDefaults;

/// Facts for the keys, besides the decoder and the vocabulary.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ModelFacts {
    /// The model's name: `general.name`.
    pub name: String,
    /// The program that quantized it, if any did.
    pub quantized_by: Option<String>,
    /// The published facts about the model.
    pub identity: Identity,
    /// Number of the model's parameters, as [`crate::keys::size_label`] puts it.
    pub size_label: String,
    /// The number of the recipe: `general.file_type`.
    pub file_type: u32,
    /// Tells whether the configuration gives the width of a head, which is else left to the reader.
    pub has_head_dim: bool,
    /// Defaults of sampling, from `generation_config.json`.
    pub sampling: SamplingDefaults,
}
