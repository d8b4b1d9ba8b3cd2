//! Everything that can go wrong while a model is built or run.

use mc_tensor::model_tensor::ModelTensor;

/// Why a model could not be built or run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RuntimeError {
    /// The program needs a tensor that the weights lack.
    #[error("Tensor `{tensor}` is missing; expected shape {expected:?}")]
    MissingTensor {
        /// The tensor.
        tensor: ModelTensor,
        /// The shape that the program needs.
        expected: Vec<usize>,
    },
    /// A tensor's shape is not the one that the program needs.
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
    /// The byte range lies outside the bytes that it borrows from.
    #[error("Bytes {start}..{end} lie outside the {available} bytes that they are borrowed from")]
    RangeOutside {
        /// First byte.
        start: usize,
        /// One past the last byte.
        end: usize,
        /// Bytes there are.
        available: usize,
    },
    /// The runtime cannot compute with this element type.
    #[error("Weights are `{found}`; expected F64, F32, F16, BF16 or a block codec")]
    UnsupportedEncoding {
        /// The dtype or codec.
        found: String,
    },
    /// A row's length is no multiple of the codec's block.
    #[error("Weights have {n_columns} columns; codec `{codec}` needs a multiple of {block_len}")]
    PartialBlock {
        /// The codec.
        codec: String,
        /// Weights in a block.
        block_len: usize,
        /// Columns found.
        n_columns: usize,
    },
    /// The program contradicts itself.
    #[error("The program is inconsistent: {what}")]
    InconsistentProgram {
        /// The expected and the found value.
        what: String,
    },
    /// A token is no row of the embedding.
    #[error("Token {token} is out of range; the vocabulary has {n_vocab} tokens")]
    TokenOutOfRange {
        /// The token.
        token: u32,
        /// Rows of the embedding.
        n_vocab: usize,
    },
    /// Two models that are compared have vocabularies of different sizes.
    #[error("The model has {found} tokens; expected {expected}, as many as the baseline")]
    OtherVocabulary {
        /// Tokens of the model.
        found: usize,
        /// Tokens of the baseline.
        expected: usize,
    },
    /// No token was given where at least one is needed.
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
    /// The cache was made for another program.
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
    /// A context too small to score anything, or larger than the model's.
    #[error("A context of {n_ctx} tokens cannot be used; expected {min} to {max}")]
    ContextOutOfRange {
        /// The context asked for.
        n_ctx: usize,
        /// The smallest that works.
        min: usize,
        /// The largest that works.
        max: usize,
    },
    /// A number was infinite or not a number.
    #[error(
        "A value is infinite or not a number, first seen in {place} at position {position}; check the weights of {place}"
    )]
    NotFinite {
        /// Where it was first seen (`the token embedding`, `block 3 attention`, `the logits`).
        place: String,
        /// Position in the sequence.
        position: usize,
    },
    /// Sampling parameters that mean nothing.
    #[error("Sampling parameter `{name}` is {found}; expected {expected}")]
    BadSampling {
        /// The parameter.
        name: &'static str,
        /// Its value.
        found: f64,
        /// What it may be.
        expected: &'static str,
    },
    /// Nobody wants the result any more.
    #[error("Cancelled")]
    Cancelled,
    /// The tensor library failed.
    #[error("The tensor library failed")]
    Tensor(#[from] candle_core::Error),
}
