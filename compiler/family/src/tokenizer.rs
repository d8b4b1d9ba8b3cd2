//! Text to ids and back, around the `tokenizers` crate.
//!
//! The same ids come from a checkpoint's `tokenizer.json` and from the vocabulary that a container carries. Nothing is
//! added around a text here: who needs the beginning of a sequence puts it there.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use mc_decoder::vocabulary::{TokenType, Vocabulary};
use tokenizers::AddedToken;
use tokenizers::models::bpe::{BPE, Vocab};

use crate::byte_level::byte_level_bytes;
use crate::error::FamilyError;
use crate::merges;
use crate::pre_tokenizer::PreTokenizer;
use crate::tokenizer_json::TokenizerJson;

/// Whether control tokens written in a text are recognised or are text like any other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParseSpecial {
    /// Recognised: the text is a rendered chat template.
    Yes,
    /// Ordinary text: the text comes from a user or a corpus.
    No,
}

/// Encodes and decodes text.
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    /// The same with control tokens read as text; made when first asked for.
    plain: OnceLock<tokenizers::Tokenizer>,
    /// The id of each id of `inner`, which must count its added tokens after all others.
    ids: Vec<u32>,
    /// The bytes of each id; none for control tokens and holes.
    pieces: Vec<Vec<u8>>,
}

impl Tokenizer {
    /// Reads `tokenizer.json`.
    ///
    /// # Errors
    /// When it is no byte-level BPE tokenizer, or its added tokens do not follow the others.
    pub fn from_json(bytes: &[u8]) -> Result<Self, FamilyError> {
        let json = TokenizerJson::from_bytes(bytes)?;
        let mut inner =
            tokenizers::Tokenizer::from_bytes(bytes).map_err(|error| broken("`tokenizer.json`", &*error))?;
        // Settings of the trainer, which would cut or fill what we encode.
        inner.with_truncation(None).map_err(|error| broken("`tokenizer.json`", &*error))?;
        inner.with_padding(None);
        let mut pieces = BTreeMap::new();
        for (piece, id) in &json.model.vocab {
            pieces.insert(*id, byte_level_bytes(piece));
        }
        let look_special = json.added_tokens.iter().filter(|token| token.is_control() && !token.special);
        let controls = look_special.map(|token| AddedToken::from(token.content.clone(), true));
        inner.add_special_tokens(controls).map_err(|error| broken("`tokenizer.json`", &*error))?;
        for token in &json.added_tokens {
            if inner.token_to_id(&token.content) != Some(token.id) {
                return Err(FamilyError::Tokenizer(format!(
                    "`tokenizer.json` gives added token `{}` the id {}; expected the first free one",
                    token.content, token.id
                )));
            }
            let bytes = if token.is_control() { Vec::new() } else { token.content.clone().into_bytes() };
            pieces.insert(token.id, bytes);
        }
        let n_ids = pieces.last_key_value().map_or(0, |(id, _)| *id as usize + 1);
        // A hostile id would ask for memory that no vocabulary needs.
        if n_ids > pieces.len() * 2 + 1024 {
            return Err(FamilyError::Tokenizer(format!(
                "`tokenizer.json` has {} tokens, but ids up to {}",
                pieces.len(),
                n_ids - 1
            )));
        }
        let mut table = vec![Vec::new(); n_ids];
        for (id, bytes) in pieces {
            table[id as usize] = bytes;
        }
        Ok(Self { inner, plain: OnceLock::new(), ids: (0..n_ids as u32).collect(), pieces: table })
    }

    /// Builds the tokenizer of a vocabulary that a container carries.
    ///
    /// # Errors
    /// When its pre-tokenizer is not known or a merge names a piece that is no token.
    pub fn from_vocabulary(vocabulary: &Vocabulary) -> Result<Self, FamilyError> {
        let pre_tokenizer = PreTokenizer::named(&vocabulary.pre_tokenizer)?;
        let merges =
            vocabulary.merges.iter().map(|merge| merges::pieces(merge)).collect::<Result<Vec<_>, _>>()?;
        let merged = added_in_merges(vocabulary, &merges);
        // Ids within the crate are dense and its added tokens come after all others.
        let (mut ids, mut added, mut model) = (Vec::new(), Vec::new(), BTreeMap::new());
        for (id, token, kind) in listed(vocabulary) {
            if is_added(kind) && !merged.contains(token) {
                added.push((id, token));
            } else if kind != TokenType::Unused {
                model.insert(token.to_owned(), ids.len() as u32);
                ids.push(id);
            }
        }
        ids.extend(added.iter().map(|(id, _)| *id));
        let n_model = model.len();
        merges::check(merges.iter().copied(), |piece| model.contains_key(piece))?;
        let merges = merges.into_iter().map(|(left, right)| (left.to_owned(), right.to_owned())).collect();
        let bpe = BPE::builder()
            .vocab_and_merges(model.into_iter().collect::<Vocab>(), merges)
            .ignore_merges(pre_tokenizer.ignore_merges)
            .build()
            .map_err(|error| broken("The vocabulary", &*error))?;
        let mut inner = tokenizers::Tokenizer::new(bpe);
        inner.with_pre_tokenizer(Some(pre_tokenizer.step()?));
        let tokens = listed(vocabulary).filter(|(_, _, kind)| is_added(*kind)).map(|(_, token, kind)| {
            AddedToken::from(token.to_owned(), kind == TokenType::Control).normalized(false)
        });
        inner.add_tokens(tokens).map_err(|error| broken("The vocabulary", &*error))?;
        // A text that two ids share would shift all ids after it.
        if inner.get_vocab_size(true) != ids.len() || n_model + added.len() != ids.len() {
            return Err(FamilyError::Tokenizer("The vocabulary has two tokens of the same text".to_owned()));
        }
        let pieces = listed(vocabulary).map(|(_, token, kind)| piece(token, kind)).collect();
        Ok(Self { inner, plain: OnceLock::new(), ids, pieces })
    }

    /// The ids of `text`; nothing is added around it.
    ///
    /// # Errors
    /// When the tokenizer fails, which a byte-level one does only if bytes are missing from its vocabulary.
    pub fn encode(&self, text: &str, special: ParseSpecial) -> Result<Vec<u32>, FamilyError> {
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

    /// The text of `ids` without control tokens; bytes that are no UTF-8 become replacement characters.
    ///
    /// # Errors
    /// When an id is not in the vocabulary.
    pub fn decode(&self, ids: &[u32]) -> Result<String, FamilyError> {
        let mut bytes = Vec::new();
        for id in ids {
            let piece = self.pieces.get(*id as usize).ok_or_else(|| {
                FamilyError::Tokenizer(format!(
                    "Token {id} is not in the vocabulary, which has {} tokens",
                    self.pieces.len()
                ))
            })?;
            bytes.extend_from_slice(piece);
        }
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The bytes of one token, for text that is shown while it is generated; empty for control tokens and unknown ids.
    ///
    /// A character may be spread over several tokens, so only their concatenation is UTF-8.
    pub fn piece_bytes(&self, id: u32) -> Vec<u8> {
        self.pieces.get(id as usize).cloned().unwrap_or_default()
    }
}

fn listed(vocabulary: &Vocabulary) -> impl Iterator<Item = (u32, &str, TokenType)> {
    let tokens = vocabulary.tokens.iter().zip(&vocabulary.types);
    (0..).zip(tokens).map(|(id, (token, kind))| (id, token.as_str(), *kind))
}

fn is_added(kind: TokenType) -> bool {
    matches!(kind, TokenType::Control | TokenType::UserDefined)
}

fn piece(token: &str, kind: TokenType) -> Vec<u8> {
    match kind {
        TokenType::Control | TokenType::Unused => Vec::new(),
        TokenType::UserDefined => token.as_bytes().to_vec(),
        TokenType::Normal | TokenType::Unknown | TokenType::Byte => byte_level_bytes(token),
    }
}

// Added tokens that merges also name: these are pieces of the model too.
fn added_in_merges<'a>(vocabulary: &'a Vocabulary, merges: &[(&str, &str)]) -> BTreeSet<&'a str> {
    let added: BTreeSet<&str> =
        listed(vocabulary).filter(|(_, _, kind)| is_added(*kind)).map(|(_, token, _)| token).collect();
    let named = |piece: &str| added.get(piece).copied();
    let both =
        merges.iter().flat_map(|(left, right)| [named(left), named(right), named(&format!("{left}{right}"))]);
    both.flatten().collect()
}

fn broken(what: &str, error: &(dyn std::error::Error + Send + Sync)) -> FamilyError {
    FamilyError::Tokenizer(format!("{what} cannot be used: {error}"))
}
