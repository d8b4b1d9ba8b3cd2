//! What a declaration says against its recipe, once its patterns are resolved to tensors.
//!
//! Knows no patterns: whoever reads declarations matches names and finds contradictions.

use std::collections::BTreeMap;

use mc_encoding::codec::Codec;
use mc_tensor::model_tensor::ModelTensor;

/// Codecs that are not the recipe's choice.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// The codec of single tensors. Those that are never quantized (norms, biases) stay as they are all the same.
    pub by_tensor: BTreeMap<ModelTensor, &'static Codec>,
    /// Whether every other tensor gets the recipe's default, embedding and output too.
    pub is_pure: bool,
}
