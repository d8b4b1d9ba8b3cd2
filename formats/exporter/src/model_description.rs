//! A model as formats see it. Everything that a format needs to know about a model is a field here.

use mc_decoder::program::Decoder;
use mc_decoder::vocabulary::Vocabulary;
use mc_tensor::model_tensor::ModelTensor;
use mc_tensor::stored::Stored;

use crate::model_facts::ModelFacts;

/// A model to write.
#[derive(Clone, Copy, Debug)]
pub struct ModelDescription<'a> {
    /// Its computation, with rotary pairs as in its checkpoint.
    pub decoder: &'a Decoder,
    /// Its vocabulary, which is read at execution; `None` at analysis, and if it is that of `origin`.
    pub vocabulary: Option<&'a Vocabulary>,
    /// Further facts; `None` at analysis.
    pub facts: Option<&'a ModelFacts>,
    /// The head of the file that the model was read from, if that had the same format. It may contain keys that are
    /// unknown elsewhere.
    pub origin: Option<&'a [u8]>,
}

impl<'a> ModelDescription<'a> {
    /// Describes a model at analysis.
    pub fn new(decoder: &'a Decoder) -> Self {
        Self { decoder, vocabulary: None, facts: None, origin: None }
    }
}

/// A tensor of a model, as in its checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TensorDescription {
    /// Its purpose.
    pub tensor: ModelTensor,
    /// The way in which the checkpoint stores its numbers.
    pub stored: Stored,
}
