//! The tokens of a model: the text of each id.
//!
//! This is only a description: the family's tokenizer encodes and decodes text.

use crate::pre_tokenizer::PreTokenizer;

/// The tokenization algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VocabularyKind {
    /// Byte-level byte-pair encoding (GPT-2, Llama 3).
    BytePair,
    /// SentencePiece's byte-pair encoding with a score for each piece (Llama 2, Gemma, Mistral).
    SentencePiece,
}

/// The kind of a token. The numbers are SentencePiece's, which containers use too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum TokenType {
    /// A piece of text.
    Normal = 1,
    /// The unknown token.
    Unknown = 2,
    /// A control token, never displayed.
    Control = 3,
    /// An added token that is treated as ordinary text.
    UserDefined = 4,
    /// A padding slot of the embedding.
    Unused = 5,
    /// One raw byte.
    Byte = 6,
}

/// Everything that a container must store about the tokens.
#[derive(Clone, Debug, PartialEq)]
pub struct Vocabulary {
    /// The tokenization algorithm.
    pub kind: VocabularyKind,
    /// The split into words before it.
    pub pre_tokenizer: PreTokenizer,
    /// The text of each id, padded to the number of rows of the embedding.
    pub tokens: Vec<String>,
    /// The score of each id: the pair whose joined piece has the highest score is merged first. Empty for byte-level
    /// vocabularies, which have `merges` instead.
    pub scores: Vec<f32>,
    /// The type of each id.
    pub types: Vec<TokenType>,
    /// The merges, most frequent first, each as two pieces separated by a space.
    pub merges: Vec<String>,
    /// Ids with a special meaning.
    pub special: SpecialTokens,
    /// True if a space is added before a text; `None` if the container does not say.
    pub space_prefix: Option<bool>,
    /// Jinja source of the chat template.
    pub chat_template: Option<String>,
    /// Further chat templates by name (`tool_use`), sorted by name.
    pub named_templates: Vec<(String, String)>,
}

/// Ids with a special meaning, and the tokens added around a text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SpecialTokens {
    /// Beginning of sequence.
    pub bos: Option<u32>,
    /// End of sequence, as in the container.
    pub eos: Option<u32>,
    /// Every id that ends a generation.
    pub stop: Vec<u32>,
    /// Padding.
    pub pad: Option<u32>,
    /// Unknown.
    pub unknown: Option<u32>,
    /// Separator between two texts.
    pub separator: Option<u32>,
    /// A masked position.
    pub mask: Option<u32>,
    /// End of a turn, if it differs from the end of a sequence.
    pub end_of_turn: Option<u32>,
    /// True if `bos` is added before a text.
    pub add_bos: Option<bool>,
    /// True if `eos` is added after a text.
    pub add_eos: Option<bool>,
    /// True if a separator is added after a text.
    pub add_sep: Option<bool>,
    /// The order of the keys in the container; unlisted keys follow in the order of [`SpecialKey::ALL`].
    pub order: Vec<SpecialKey>,
}

/// The keys for special tokens and flags in a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpecialKey {
    /// [`SpecialTokens::bos`].
    Bos,
    /// [`SpecialTokens::eos`].
    Eos,
    /// [`SpecialTokens::unknown`].
    Unknown,
    /// [`SpecialTokens::separator`].
    Separator,
    /// [`SpecialTokens::pad`].
    Padding,
    /// [`SpecialTokens::mask`].
    Mask,
    /// [`SpecialTokens::end_of_turn`].
    EndOfTurn,
    /// [`SpecialTokens::add_bos`].
    AddBos,
    /// [`SpecialTokens::add_eos`].
    AddEos,
    /// [`SpecialTokens::add_sep`].
    AddSep,
}

impl SpecialKey {
    /// Every key, the ids before the flags.
    pub const ALL: [Self; 10] = [
        Self::Bos,
        Self::Eos,
        Self::Unknown,
        Self::Separator,
        Self::Padding,
        Self::Mask,
        Self::EndOfTurn,
        Self::AddBos,
        Self::AddEos,
        Self::AddSep,
    ];
}

impl SpecialTokens {
    /// The id of `key`; `None` also for flags.
    pub fn id(&self, key: SpecialKey) -> Option<u32> {
        match key {
            SpecialKey::Bos => self.bos,
            SpecialKey::Eos => self.eos,
            SpecialKey::Unknown => self.unknown,
            SpecialKey::Separator => self.separator,
            SpecialKey::Padding => self.pad,
            SpecialKey::Mask => self.mask,
            SpecialKey::EndOfTurn => self.end_of_turn,
            SpecialKey::AddBos | SpecialKey::AddEos | SpecialKey::AddSep => None,
        }
    }

    /// The flag of `key`; `None` also for ids.
    pub fn switch(&self, key: SpecialKey) -> Option<bool> {
        match key {
            SpecialKey::AddBos => self.add_bos,
            SpecialKey::AddEos => self.add_eos,
            SpecialKey::AddSep => self.add_sep,
            _ => None,
        }
    }

    /// Every key in the container's order.
    pub fn keys(&self) -> impl Iterator<Item = SpecialKey> {
        let rest = SpecialKey::ALL.into_iter().filter(|key| !self.order.contains(key));
        self.order.iter().copied().chain(rest)
    }
}
