//! Facts about a model that a file states, besides its computation and its vocabulary.

use crate::identity::Identity;

/// Facts that a file may state. A format writes those for which it has a field.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ModelFacts {
    /// The model's name.
    pub name: String,
    /// Its encoding: the name of a recipe, or the format's word for an unchanged copy.
    pub recipe: String,
    /// The published facts about the model.
    pub identity: Identity,
    /// True if `identity` replaces the facts in the file from which the model was read, because its weights changed.
    pub is_changed: bool,
    /// True if the configuration states the head width; otherwise the width follows from the other dimensions.
    pub has_head_dim: bool,
    /// Sampling defaults, from `generation_config.json`.
    pub sampling: SamplingDefaults,
    /// The provenance of the file: names such as `source.base.digest` and values, in order.
    pub lineage: Vec<(String, String)>,
}

/// Sampling parameters that the authors of a model recommend.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SamplingDefaults {
    /// Number of most likely tokens to sample from.
    pub top_k: Option<i32>,
    /// Cumulative probability of the tokens to sample from.
    pub top_p: Option<f32>,
    /// Minimum probability, relative to the most likely token.
    pub min_p: Option<f32>,
    /// Temperature.
    pub temperature: Option<f32>,
    /// Penalty on repeated tokens.
    pub repetition_penalty: Option<f32>,
}
