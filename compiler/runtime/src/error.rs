//! Errors from building or running a model.

use mc_encoding::encoding_error::EncodingError;
use mc_tensor::model_tensor::ModelTensor;

/// A reason why a model cannot be built or run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RuntimeError {
    /// The weights lack a tensor that the program needs.
    #[error("Tensor `{tensor}` is missing; expected shape {expected:?}")]
    MissingTensor {
        /// The tensor.
        tensor: ModelTensor,
        /// The shape that the program needs.
        expected: Vec<usize>,
    },
    /// A tensor's shape differs from the one that the program needs.
    #[error("Tensor `{tensor}` has shape {found:?}; expected {expected:?}")]
    WrongShape {
        /// The tensor.
        tensor: ModelTensor,
        /// The shape that the program needs.
        expected: Vec<usize>,
        /// The shape of the weights.
        found: Vec<usize>,
    },
    /// The weights' bytes do not fill their shape.
    #[error("Weights of shape {shape:?} in `{encoding}` need {expected} bytes; found {found}")]
    WrongByteCount {
        /// The shape.
        shape: Vec<usize>,
        /// The dtype or codec.
        encoding: String,
        /// Bytes that the shape needs.
        expected: usize,
        /// Bytes given.
        found: usize,
    },
    /// A tensor cannot be stored in these planes.
    #[error(transparent)]
    Planes(#[from] EncodingError),
    /// A tensor has another number of planes than its encoding.
    #[error("The encoding has {expected} planes; found {found}")]
    WrongPlaneCount {
        /// Planes of the encoding.
        expected: usize,
        /// Planes given.
        found: usize,
    },
    /// The byte range lies outside its buffer.
    #[error("Bytes {start}..{end} lie outside the {available} bytes that they are borrowed from")]
    RangeOutside {
        /// First byte.
        start: usize,
        /// One past the last byte.
        end: usize,
        /// Size of the buffer.
        available: usize,
    },
    /// The runtime cannot compute with this element type.
    #[error("Weights are `{found}`; expected F64, F32, F16, BF16 or a block codec")]
    UnsupportedEncoding {
        /// The dtype or codec.
        found: String,
    },
    /// A row's length is not a multiple of the codec's block length.
    #[error("Weights have {n_columns} columns; codec `{codec}` needs a multiple of {block_len}")]
    PartialBlock {
        /// The codec.
        codec: String,
        /// Block length of the codec, in weights.
        block_len: usize,
        /// Columns found.
        n_columns: usize,
    },
    /// The program is inconsistent.
    #[error("The program is inconsistent: {what}")]
    InconsistentProgram {
        /// The expected and the found value.
        what: String,
    },
    /// A token is outside the vocabulary.
    #[error("Token {token} is out of range; the vocabulary has {n_vocab} tokens")]
    TokenOutOfRange {
        /// The token.
        token: u32,
        /// Rows of the embedding.
        n_vocab: usize,
    },
    /// Two models to compare have vocabularies of different sizes.
    #[error("The model has {found} tokens; expected {expected}, as many as the baseline")]
    OtherVocabulary {
        /// Tokens of the model.
        found: usize,
        /// Tokens of the baseline.
        expected: usize,
    },
    /// The sequence is empty; at least one token is needed.
    #[error("The sequence is empty; expected at least one token")]
    EmptySequence,
    /// The sequence does not fit the cache.
    #[error("The sequence needs {needed} positions; the key-value cache holds {capacity}")]
    CacheFull {
        /// Positions of the cache.
        capacity: usize,
        /// Positions needed.
        needed: usize,
    },
    /// The cache belongs to another program.
    #[error("The key-value cache was made for another program; make one with `Model::new_cache`")]
    ForeignCache,
    /// The text is shorter than one chunk.
    #[error(
        "The text has {n_tokens} tokens; expected at least {n_ctx}, one whole chunk: give more text or a smaller context"
    )]
    TextTooShort {
        /// Tokens of the text.
        n_tokens: usize,
        /// Tokens of a chunk.
        n_ctx: usize,
    },
    /// A context too small for a scored position, or larger than the model's.
    #[error("A context of {n_ctx} tokens cannot be used; expected {min} to {max}")]
    ContextOutOfRange {
        /// The requested context.
        n_ctx: usize,
        /// The minimum.
        min: usize,
        /// The maximum.
        max: usize,
    },
    /// A number was infinite or not a number.
    #[error(
        "A value is infinite or not a number, first seen in {place} at position {position}; check the weights of {place}"
    )]
    NotFinite {
        /// Location of the first occurrence (`the token embedding`, `block 3 attention`, `the logits`).
        place: String,
        /// Position in the sequence.
        position: usize,
    },
    /// Invalid sampling parameters.
    #[error("Sampling parameter `{name}` is {found}; expected {expected}")]
    BadSampling {
        /// The parameter.
        name: &'static str,
        /// Its value.
        found: f64,
        /// Valid values.
        expected: &'static str,
    },
    /// The result is no longer needed.
    #[error("Cancelled")]
    Cancelled,
    /// The tensor library failed.
    #[error("The tensor library failed")]
    Tensor(#[from] candle_core::Error),
}
