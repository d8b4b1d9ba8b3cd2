//! The model in a file, without the bytes of its tensors.

use std::ops::Range;

use mc_decoder::program::Decoder;
use mc_decoder::vocabulary::Vocabulary;
use mc_encoding::codec::Codec;
use mc_tensor::model_tensor::ModelTensor;

/// A model that was read from a file.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelFile {
    /// The name of the architecture in the file.
    pub architecture: String,
    /// Its computation, with rotary pairs as in the file.
    pub decoder: Decoder,
    /// Its vocabulary.
    pub vocabulary: Vocabulary,
    /// Its tensors, in file order.
    pub tensors: Vec<FileTensor>,
}

/// A tensor of a file.
#[derive(Clone, Debug, PartialEq)]
pub struct FileTensor {
    /// Its name in the file.
    pub name: String,
    /// Its purpose, if known.
    pub tensor: Option<ModelTensor>,
    /// The name of its type in the file.
    pub kind: &'static str,
    /// The codec that reads it, if there is one.
    pub codec: Option<&'static Codec>,
    /// Its shape, rows last.
    pub shape: Vec<u64>,
    /// The range of its bytes in the file.
    pub range: Range<u64>,
}
