//! Facts about a model that a file states besides what the model computes and its vocabulary.

use crate::identity::Identity;

/// What a file may tell its readers. A format writes what it has room for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ModelFacts {
    /// The model's name.
    pub name: String,
    /// Its encoding: the name of a recipe, or the format's word for a copy.
    pub recipe: String,
    /// The published facts about the model.
    pub identity: Identity,
    /// Tells whether `identity` replaces that of the file that the model was read from, because its weights changed.
    pub is_changed: bool,
    /// Tells whether the configuration states the width of a head, which else follows from the other widths.
    pub has_head_dim: bool,
    /// Defaults of sampling, from `generation_config.json`.
    pub sampling: SamplingDefaults,
    /// The origin of the file: names such as `source.base.digest`, and values, in order.
    pub lineage: Vec<(String, String)>,
}

/// What a model's makers advise for sampling.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SamplingDefaults {
    /// Likeliest tokens to choose among.
    pub top_k: Option<i32>,
    /// Probability that the tokens to choose among have together.
    pub top_p: Option<f32>,
    /// Least probability relative to the likeliest token.
    pub min_p: Option<f32>,
    /// Temperature.
    pub temperature: Option<f32>,
    /// Penalty on repeated tokens.
    pub repetition_penalty: Option<f32>,
}
