//! The cut of text into words before any merge.
//!
//! Tokenizers of checkpoints describe it by expressions, some containers by a name alone; what a name means is the
//! format's business.

/// GPT-2's words.
pub const GPT2: &str = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";
/// Each digit by itself.
pub const DIGIT: &str = r"\p{N}";

/// A pre-tokenizer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PreTokenizer {
    /// Its name in the container that it was read from.
    pub name: Option<String>,
    /// The places at which it cuts.
    pub cut: Cut,
}

/// The places at which a pre-tokenizer cuts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cut {
    /// Nowhere: SentencePiece has none.
    Nowhere,
    /// By expressions, one after the other; what one matches and what lies between are words.
    Expressions {
        /// The expressions.
        expressions: Vec<String>,
        /// Tells whether a word that is a token is taken whole, before any merge.
        ignore_merges: bool,
    },
    /// Nobody knows, for the reason that a message gives.
    Unknown(String),
}

impl PreTokenizer {
    /// That of SentencePiece.
    pub const NONE: Self = Self { name: None, cut: Cut::Nowhere };
}
