//! The token side of a model: which pieces of text its ids stand for.
//!
//! A description only: encoding and decoding text is done by the family's tokenizer.

/// How text is cut into tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VocabularyKind {
    /// Byte-level byte-pair encoding (GPT-2, Llama 3); GGUF calls it `gpt2`.
    BytePair,
}

/// What a token is; the numbers are GGUF's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum TokenType {
    /// A piece of text.
    Normal = 1,
    /// The unknown token.
    Unknown = 2,
    /// A control token, never shown.
    Control = 3,
    /// An added token that is ordinary text.
    UserDefined = 4,
    /// A padding slot of the embedding.
    Unused = 5,
    /// One raw byte.
    Byte = 6,
}

/// Everything that a container must carry about the tokens.
#[derive(Clone, Debug, PartialEq)]
pub struct Vocabulary {
    /// How text is cut.
    pub kind: VocabularyKind,
    /// llama.cpp's name of the pre-tokenizer, recognised from its regular expression (`llama-bpe`).
    pub pre_tokenizer: String,
    /// The text of each id, padded to the embedding's rows.
    pub tokens: Vec<String>,
    /// The type of each id.
    pub types: Vec<TokenType>,
    /// The merges, most frequent first, each as two pieces parted by a space.
    pub merges: Vec<String>,
    /// Ids with a special meaning.
    pub special: SpecialTokens,
    /// Jinja source of the chat template.
    pub chat_template: Option<String>,
}

/// Ids with a special meaning, and what is added around a text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SpecialTokens {
    /// Beginning of sequence.
    pub bos: Option<u32>,
    /// End of sequence, as the container writes it.
    pub eos: Option<u32>,
    /// Every id that ends a generation.
    pub stop: Vec<u32>,
    /// Padding.
    pub pad: Option<u32>,
    /// Unknown.
    pub unknown: Option<u32>,
    /// Whether `bos` is put before a text.
    pub add_bos: Option<bool>,
    /// Whether `eos` is put after a text.
    pub add_eos: Option<bool>,
    /// Whether a separator is put after a text.
    pub add_sep: Option<bool>,
}
