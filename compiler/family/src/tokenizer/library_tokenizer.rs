//! A tokenizer of the `tokenizers` crate that supports ids in any order.
//!
//! The crate gives an added token the first free id, whatever its file says, so ids are dense here and
//! translated.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use tokenizers::models::bpe::{BPE, Vocab};
use tokenizers::{NormalizerWrapper, PreTokenizerWrapper};

use crate::error::FamilyError;
use crate::tokenizer::added_tokens::AddedToken;
use crate::tokenizer::merges;
use crate::tokenizer::parse_special::ParseSpecial;
use crate::tokenizer::windows::{Cuts, MAX_WHOLE_BYTES, space_cut, word_cut};

/// The parts of a tokenizer.
pub(crate) struct Parts<'a> {
    /// The model's pieces, each with its id.
    pub(crate) vocab: Vec<(&'a str, u32)>,
    /// Pairs of pieces that are merged, most frequent first.
    pub(crate) merges: Vec<(&'a str, &'a str)>,
    pub(crate) ignore_merges: bool,
    /// The token for text without a token, if characters may have none.
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
    /// The same tokenizer, but control tokens are read as text; created on first use.
    plain: OnceLock<tokenizers::Tokenizer>,
    /// Maps each id of `inner` to its real id.
    ids: Vec<u32>,
    /// Positions at which a long text may be cut.
    cuts: Cuts,
}

impl LibraryTokenizer {
    /// Combines the parts.
    ///
    /// # Errors
    /// Fails if a merge names a piece that is not a token, or if two ids have the same text.
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
        let cuts = Cuts::of(
            parts.normalizer.as_ref(),
            parts.pre_tokenizer.as_ref(),
            &parts.added,
            parts.ignore_merges,
            model.keys().map(String::as_str),
        );
        merges::check(parts.merges.iter().copied(), model.keys())?;
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
        // An id missing here would shift all ids after it.
        if inner.get_vocab_size(true) != ids.len() {
            return Err(FamilyError::Tokenizer("The vocabulary has two tokens of the same text".to_owned()));
        }
        Ok(Self { inner, plain: OnceLock::new(), ids, cuts })
    }

    /// Returns the ids of `text`, which is encoded in windows of about `n_window_bytes` bytes.
    ///
    /// # Errors
    /// Fails if a character has neither a token nor tokens for its bytes, and there is no unknown token; or
    /// if the text is long and cannot be cut.
    pub(crate) fn encode_in_windows(
        &self,
        text: &str,
        special: ParseSpecial,
        n_window_bytes: usize,
    ) -> Result<Vec<u32>, FamilyError> {
        let tokenizer = match special {
            ParseSpecial::Yes => &self.inner,
            ParseSpecial::No => self.plain.get_or_init(|| {
                let mut plain = self.inner.clone();
                plain.set_encode_special_tokens(true);
                plain
            }),
        };
        let mut ids = Vec::new();
        let mut rest = text;
        let mut n_bytes = n_window_bytes;
        while rest.len() > n_bytes {
            match self.window(tokenizer, &rest[..rest.floor_char_boundary(n_bytes)], &mut ids)? {
                Some(n_done) => {
                    rest = &rest[n_done..];
                    n_bytes = n_window_bytes;
                }
                None => n_bytes *= 2,
            }
            if n_bytes > MAX_WHOLE_BYTES && rest.len() > MAX_WHOLE_BYTES {
                return Err(uncuttable(rest));
            }
        }
        let encoding = tokenizer.encode_fast(rest, false).map_err(|error| broken("The text", &*error))?;
        ids.extend(encoding.get_ids().iter().map(|id| self.ids[*id as usize]));
        Ok(ids)
    }

    /// Encodes the beginning of `window` up to a cut, and returns the number of bytes encoded; `None` if
    /// there is no cut.
    fn window(
        &self,
        tokenizer: &tokenizers::Tokenizer,
        window: &str,
        ids: &mut Vec<u32>,
    ) -> Result<Option<usize>, FamilyError> {
        let failed = |error: Box<dyn std::error::Error + Send + Sync>| broken("The text", &*error);
        let (encoding, n_tokens, n_done) = match self.cuts {
            Cuts::Never => return Ok(None),
            Cuts::Words { margin, is_normalized } => {
                let encoding = tokenizer.encode(window, false).map_err(failed)?;
                let Some((n_tokens, at)) = word_cut(&encoding, window, margin, is_normalized) else {
                    return Ok(None);
                };
                (encoding, n_tokens, at)
            }
            Cuts::Spaces { has_prefix } => {
                let Some(at) = space_cut(window, window.len() / 2) else { return Ok(None) };
                let encoding = tokenizer.encode_fast(&window[..at], false).map_err(failed)?;
                let n_tokens = encoding.len();
                (encoding, n_tokens, at + usize::from(has_prefix))
            }
        };
        ids.extend(encoding.get_ids()[..n_tokens].iter().map(|id| self.ids[*id as usize]));
        Ok(Some(n_done))
    }
}

/// Returns the error for a text that is too long to be encoded at once.
pub(crate) fn uncuttable(text: &str) -> FamilyError {
    let begin: String = text.chars().take(40).collect();
    FamilyError::Tokenizer(format!(
        "A text of {} bytes, which begins with `{begin}`, has no place to cut it within {MAX_WHOLE_BYTES} bytes; \
         break long lines, or take a tokenizer that cuts texts into words",
        text.len()
    ))
}

fn twice(text: &str) -> FamilyError {
    FamilyError::Tokenizer(format!("The vocabulary has two tokens of the same text `{text}`"))
}

fn broken(what: &str, error: &(dyn std::error::Error + Send + Sync)) -> FamilyError {
    FamilyError::Tokenizer(format!("{what} cannot be used: {error}"))
}
