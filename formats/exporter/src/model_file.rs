//! The model in a file, but for the bytes of its tensors.

use std::ops::Range;

use mc_decoder::program::Decoder;
use mc_decoder::vocabulary::Vocabulary;
use mc_encoding::codec::Codec;
use mc_tensor::model_tensor::ModelTensor;

/// A model that was read.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelFile {
    /// The name of the kind of model in the file.
    pub architecture: String,
    /// Its computation; rotary pairs as in the file.
    pub decoder: Decoder,
    /// Its vocabulary.
    pub vocabulary: Vocabulary,
    /// Its tensors, in the order of the file.
    pub tensors: Vec<FileTensor>,
}

/// A tensor of a file.
#[derive(Clone, Debug, PartialEq)]
pub struct FileTensor {
    /// Its name in the file.
    pub name: String,
    /// Its purpose, if that is known.
    pub tensor: Option<ModelTensor>,
    /// The name of its type in the file.
    pub kind: &'static str,
    /// The codec that reads it, if there is one.
    pub codec: Option<&'static Codec>,
    /// Its shape, rows last.
    pub shape: Vec<u64>,
    /// Its bytes in the file.
    pub range: Range<u64>,
}
