//! The split of text into words before merging.
//!
//! A checkpoint's tokenizer describes it by regular expressions, some containers only by a name; the format defines the
//! meaning of a name.

/// GPT-2's expression for words.
pub const GPT2: &str = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";
/// Splits off each digit.
pub const DIGIT: &str = r"\p{N}";

/// A pre-tokenizer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PreTokenizer {
    /// Its name in the container that it was read from.
    pub name: Option<String>,
    /// Its rules for splitting.
    pub cut: Cut,
}

/// The splitting rules of a pre-tokenizer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cut {
    /// No split, as in SentencePiece.
    Nowhere,
    /// Expressions, applied one after another; the matches and the text between them are words.
    Expressions {
        /// The expressions.
        expressions: Vec<String>,
        /// True if a word that is a token is used as a whole, before merging.
        ignore_merges: bool,
    },
    /// Unknown, with the reason as a message.
    Unknown(String),
}

impl PreTokenizer {
    /// The pre-tokenizer of SentencePiece.
    pub const NONE: Self = Self { name: None, cut: Cut::Nowhere };
}
