//! A tokenizer of the `tokenizers` crate whose ids may be in any order.
//!
//! The crate gives an added token the first free id, whatever its file says, so ids are dense here and translated.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use tokenizers::models::bpe::{BPE, Vocab};
use tokenizers::{NormalizerWrapper, PreTokenizerWrapper};

use crate::added_tokens::AddedToken;
use crate::error::FamilyError;
use crate::merges;
use crate::tokenizer::ParseSpecial;

/// What a tokenizer is made of.
pub(crate) struct Parts<'a> {
    /// The model's pieces, each with its id.
    pub(crate) vocab: Vec<(&'a str, u32)>,
    /// Which two pieces become one, most frequent first.
    pub(crate) merges: Vec<(&'a str, &'a str)>,
    pub(crate) ignore_merges: bool,
    /// The token of what has no token, where characters may have none.
    pub(crate) unknown: Option<&'a str>,
    pub(crate) fuse_unknown: bool,
    pub(crate) byte_fallback: bool,
    pub(crate) added: Vec<AddedToken>,
    pub(crate) normalizer: Option<NormalizerWrapper>,
    pub(crate) pre_tokenizer: Option<PreTokenizerWrapper>,
}

/// Encodes text by merges.
pub(crate) struct LibraryTokenizer {
    inner: tokenizers::Tokenizer,
    /// The same with control tokens read as text; made when first asked for.
    plain: OnceLock<tokenizers::Tokenizer>,
    /// The id of each id of `inner`.
    ids: Vec<u32>,
}

impl LibraryTokenizer {
    /// Puts the parts together.
    ///
    /// # Errors
    /// When a merge names a piece that is no token, or two ids have one text.
    pub(crate) fn new(parts: Parts<'_>) -> Result<Self, FamilyError> {
        let mut model = BTreeMap::new();
        let mut ids = Vec::new();
        for (piece, id) in parts.vocab {
            if model.insert(piece.to_owned(), ids.len() as u32).is_some() {
                return Err(twice(piece));
            }
            ids.push(id);
        }
        let mut texts = BTreeMap::new();
        for token in &parts.added {
            if texts.insert(token.content.as_str(), token.id).is_some_and(|id| id != token.id) {
                return Err(twice(&token.content));
            }
            match model.get(&token.content) {
                Some(inner) if ids[*inner as usize] != token.id => return Err(twice(&token.content)),
                Some(_) => {}
                None if token.content.is_empty() => {}
                None => ids.push(token.id),
            }
        }
        merges::check(parts.merges.iter().copied(), |piece| model.contains_key(piece))?;
        let pairs =
            parts.merges.into_iter().map(|(left, right)| (left.to_owned(), right.to_owned())).collect();
        let mut builder = BPE::builder()
            .vocab_and_merges(model.into_iter().collect::<Vocab>(), pairs)
            .ignore_merges(parts.ignore_merges)
            .byte_fallback(parts.byte_fallback)
            .fuse_unk(parts.fuse_unknown);
        if let Some(unknown) = parts.unknown {
            builder = builder.unk_token(unknown.to_owned());
        }
        let bpe = builder.build().map_err(|error| broken("The vocabulary", &*error))?;
        let mut inner = tokenizers::Tokenizer::new(bpe);
        inner.with_normalizer(parts.normalizer).map_err(|error| broken("The normalizer", &*error))?;
        inner.with_pre_tokenizer(parts.pre_tokenizer);
        let tokens = parts.added.iter().map(|token| {
            tokenizers::AddedToken::from(token.content.clone(), token.is_control())
                .lstrip(token.lstrip)
                .rstrip(token.rstrip)
                .single_word(token.single_word)
                .normalized(token.normalized)
        });
        inner.add_tokens(tokens).map_err(|error| broken("The added tokens", &*error))?;
        // An id that were missing here would shift all ids after it.
        if inner.get_vocab_size(true) != ids.len() {
            return Err(FamilyError::Tokenizer("The vocabulary has two tokens of the same text".to_owned()));
        }
        Ok(Self { inner, plain: OnceLock::new(), ids })
    }

    /// The ids of `text`.
    ///
    /// # Errors
    /// When a character has no token, nor its bytes, and there is no unknown token.
    pub(crate) fn encode(&self, text: &str, special: ParseSpecial) -> Result<Vec<u32>, FamilyError> {
        let tokenizer = match special {
            ParseSpecial::Yes => &self.inner,
            ParseSpecial::No => self.plain.get_or_init(|| {
                let mut plain = self.inner.clone();
                plain.set_encode_special_tokens(true);
                plain
            }),
        };
        let encoding = tokenizer.encode_fast(text, false).map_err(|error| broken("The text", &*error))?;
        Ok(encoding.get_ids().iter().map(|id| self.ids[*id as usize]).collect())
    }
}

fn twice(text: &str) -> FamilyError {
    FamilyError::Tokenizer(format!("The vocabulary has two tokens of the same text `{text}`"))
}

fn broken(what: &str, error: &(dyn std::error::Error + Send + Sync)) -> FamilyError {
    FamilyError::Tokenizer(format!("{what} cannot be used: {error}"))
}
