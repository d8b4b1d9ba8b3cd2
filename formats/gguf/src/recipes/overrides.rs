//! Overrides of a recipe in a declaration, with patterns resolved to tensors.
//!
//! Knows no patterns: the reader of declarations matches names and reports contradictions.

use std::collections::BTreeMap;

use mc_encoding::codec::Codec;
use mc_tensor::model_tensor::ModelTensor;

/// Codecs that replace the recipe's choice.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// Codecs of individual tensors. Tensors that are never quantized (norms, biases) stay as they are nevertheless.
    pub by_tensor: BTreeMap<ModelTensor, &'static Codec>,
    /// True if every other tensor, including embedding and output, gets the recipe's default.
    pub is_pure: bool,
}
