//! A model as a format sees it. Whatever a format needs to know about a model is a field here, so that there is one place
//! to add to.

use mc_decoder::program::Decoder;
use mc_decoder::vocabulary::Vocabulary;
use mc_tensor::model_tensor::ModelTensor;
use mc_tensor::stored::Stored;

use crate::model_facts::ModelFacts;

/// A model that is to be written.
#[derive(Clone, Copy, Debug)]
pub struct ModelDescription<'a> {
    /// Its computation; rotary pairs as in its checkpoint.
    pub decoder: &'a Decoder,
    /// Its vocabulary, which is read when it is written; absent before, and where it is that of `origin`.
    pub vocabulary: Option<&'a Vocabulary>,
    /// Further facts; absent before it is written.
    pub facts: Option<&'a ModelFacts>,
    /// The head of the file that it was read from, where that was a file of the same format: it may say what nobody
    /// else knows.
    pub origin: Option<&'a [u8]>,
}

impl<'a> ModelDescription<'a> {
    /// A model before it is written.
    pub fn new(decoder: &'a Decoder) -> Self {
        Self { decoder, vocabulary: None, facts: None, origin: None }
    }
}

/// A tensor of a model, as its checkpoint has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TensorDescription {
    /// Its purpose.
    pub tensor: ModelTensor,
    /// The way in which its numbers are stored.
    pub stored: Stored,
}
