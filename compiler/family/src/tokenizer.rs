//! Converts text to ids and back.
//!
//! A checkpoint's files and the vocabulary in a container give the same ids; the gate `tokenizer-fidelity`
//! compares them. Nothing is added around a text here: callers add the begin token themselves.

pub mod added_tokens;
pub mod byte_level;
pub mod fidelity;
pub mod library_tokenizer;
pub mod merges;
pub mod parse_special;
pub mod piece_encoder;
pub mod piece_vocabulary;
pub mod pre_tokenizer;
pub mod protobuf;
pub mod recognition;
pub mod sentence_piece;
pub mod special_tokens;
pub mod tokenizer_json;
pub mod vocabulary;
pub mod windows;

use std::collections::{BTreeMap, BTreeSet};

use mc_decoder::pre_tokenizer::Cut;
use mc_decoder::vocabulary::{TokenType, Vocabulary, VocabularyKind};
use serde::Deserialize;
use serde_json::Value;
use tokenizers::{NormalizerWrapper, PreTokenizerWrapper};

use crate::error::FamilyError;
use crate::tokenizer::added_tokens::AddedToken;
use crate::tokenizer::byte_level::byte_level_bytes;
use crate::tokenizer::library_tokenizer::{LibraryTokenizer, Parts};
use crate::tokenizer::parse_special::ParseSpecial;
use crate::tokenizer::piece_encoder::PieceEncoder;
use crate::tokenizer::piece_vocabulary::byte_of;
use crate::tokenizer::tokenizer_json::{Merge, TokenizerJson};
use crate::tokenizer::vocabulary::vocabulary;
use crate::tokenizer::windows::WINDOW_BYTES;
use crate::tokenizer_files::{TOKENIZER_CONFIG, TokenizerFiles};

/// Encodes and decodes text.
pub struct Tokenizer {
    encoder: Encoder,
    /// The bytes of each id; empty for control tokens and holes.
    pieces: Vec<Vec<u8>>,
    /// True if a decoded text begins with a space that is not part of the text.
    space_prefix: bool,
}

enum Encoder {
    Library(Box<LibraryTokenizer>),
    Pieces(Box<PieceEncoder>),
}

impl Tokenizer {
    /// Reads the tokenizer of a checkpoint of `family` whose token embedding has `n_vocab` rows:
    /// `tokenizer.json` if there is one, else `tokenizer.model`.
    ///
    /// # Errors
    /// Fails if there is none, or if no container supports its kind.
    pub fn from_files(files: &TokenizerFiles<'_>, n_vocab: u32, family: &str) -> Result<Self, FamilyError> {
        let Some(bytes) = files.tokenizer else {
            return Self::from_vocabulary(&vocabulary(files, n_vocab, family)?);
        };
        let config = match files.tokenizer_config {
            Some(config) => crate::config::parse(TOKENIZER_CONFIG, config)?,
            None => Value::Null,
        };
        Self::of_json(&TokenizerJson::from_bytes(bytes)?, &added_tokens::of_config(&config)?)
    }

    /// Reads `tokenizer.json`.
    ///
    /// # Errors
    /// Fails if it does not describe byte-pair encoding.
    pub fn from_json(bytes: &[u8]) -> Result<Self, FamilyError> {
        Self::of_json(&TokenizerJson::from_bytes(bytes)?, &[])
    }

    fn of_json(json: &TokenizerJson, configured: &[AddedToken]) -> Result<Self, FamilyError> {
        let kind = json.kind();
        let added = added_tokens::joined(&json.added_tokens, configured, &json.model.vocab);
        let mut pieces = BTreeMap::new();
        for (text, id) in &json.model.vocab {
            pieces.insert(*id, piece(text, TokenType::Normal, kind));
        }
        for token in &added {
            let kind_of_token = if token.is_control() { TokenType::Control } else { TokenType::UserDefined };
            pieces.insert(token.id, piece(&token.content, kind_of_token, kind));
        }
        let model = &json.model;
        let encoder = LibraryTokenizer::new(Parts {
            vocab: model.vocab.iter().map(|(piece, id)| (piece.as_str(), *id)).collect(),
            merges: model.merges.iter().map(Merge::pieces).collect::<Result<_, _>>()?,
            ignore_merges: model.ignore_merges,
            unknown: model.unk_token.as_deref(),
            fuse_unknown: model.fuse_unk,
            byte_fallback: model.byte_fallback,
            added,
            normalizer: step::<NormalizerWrapper>(json.normalizer.as_ref())?,
            pre_tokenizer: step::<PreTokenizerWrapper>(Some(&json.pre_tokenizer))?,
        })?;
        Ok(Self {
            encoder: Encoder::Library(Box::new(encoder)),
            pieces: table(pieces)?,
            space_prefix: json.has_space_prefix(),
        })
    }

    /// Builds the tokenizer of a container's vocabulary.
    ///
    /// # Errors
    /// Fails if its pre-tokenizer is unknown or a merge names a piece that is not a token.
    pub fn from_vocabulary(vocabulary: &Vocabulary) -> Result<Self, FamilyError> {
        let encoder = match vocabulary.kind {
            VocabularyKind::BytePair => Encoder::Library(Box::new(byte_level(vocabulary)?)),
            VocabularyKind::SentencePiece => Encoder::Pieces(Box::new(PieceEncoder::new(vocabulary)?)),
        };
        let pieces = listed(vocabulary).map(|(_, token, kind)| piece(token, kind, vocabulary.kind)).collect();
        let is_pieces = vocabulary.kind == VocabularyKind::SentencePiece;
        Ok(Self { encoder, pieces, space_prefix: is_pieces && vocabulary.space_prefix.unwrap_or(true) })
    }

    /// Returns the ids of `text`; nothing is added around it.
    ///
    /// # Errors
    /// Fails if the tokenizer does, which happens only if bytes are missing from its vocabulary.
    pub fn encode(&self, text: &str, special: ParseSpecial) -> Result<Vec<u32>, FamilyError> {
        self.encode_in_windows(text, special, WINDOW_BYTES)
    }

    /// Returns the ids of `text`: those of [`Tokenizer::encode`] for any size of window.
    ///
    /// * `n_window_bytes`: bytes that are encoded at a time, if the text can be cut
    ///
    /// # Errors
    /// Same as [`Tokenizer::encode`].
    pub fn encode_in_windows(
        &self,
        text: &str,
        special: ParseSpecial,
        n_window_bytes: usize,
    ) -> Result<Vec<u32>, FamilyError> {
        match &self.encoder {
            Encoder::Library(library) => library.encode_in_windows(text, special, n_window_bytes),
            Encoder::Pieces(pieces) => pieces.encode_in_windows(text, special, n_window_bytes),
        }
    }

    /// Returns the text of `ids` without control tokens; bytes that are not UTF-8 become replacement
    /// characters.
    ///
    /// # Errors
    /// Fails if an id is not in the vocabulary.
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
        let own = if self.space_prefix { bytes.strip_prefix(b" ").unwrap_or(&bytes) } else { &bytes };
        Ok(String::from_utf8_lossy(own).into_owned())
    }

    /// Returns the bytes of one token, for text that is shown while it is generated; empty for control tokens
    /// and unknown ids.
    ///
    /// A character may span several tokens, so only their concatenation is UTF-8.
    pub fn piece_bytes(&self, id: u32) -> Vec<u8> {
        self.pieces.get(id as usize).cloned().unwrap_or_default()
    }
}

fn byte_level(vocabulary: &Vocabulary) -> Result<LibraryTokenizer, FamilyError> {
    let (expressions, ignore_merges) = match &vocabulary.pre_tokenizer.cut {
        Cut::Expressions { expressions, ignore_merges } => (expressions.as_slice(), *ignore_merges),
        Cut::Nowhere => (&[][..], false),
        Cut::Unknown(reason) => return Err(FamilyError::Tokenizer(reason.clone())),
    };
    let merges =
        vocabulary.merges.iter().map(|merge| merges::pieces(merge)).collect::<Result<Vec<_>, _>>()?;
    let merged = added_in_merges(vocabulary, &merges);
    let (mut added, mut vocab) = (Vec::new(), Vec::new());
    for (id, token, kind) in listed(vocabulary) {
        if is_added(kind) {
            added.push(AddedToken {
                id,
                content: token.to_owned(),
                special: kind == TokenType::Control,
                lstrip: false,
                rstrip: false,
                single_word: false,
                normalized: false,
            });
        }
        let is_piece = !is_added(kind) || merged.contains(token);
        if is_piece && kind != TokenType::Unused {
            vocab.push((token, id));
        }
    }
    LibraryTokenizer::new(Parts {
        vocab,
        merges,
        ignore_merges,
        unknown: None,
        fuse_unknown: false,
        byte_fallback: false,
        added,
        normalizer: None,
        pre_tokenizer: Some(pre_tokenizer::step(expressions)?),
    })
}

fn listed(vocabulary: &Vocabulary) -> impl Iterator<Item = (u32, &str, TokenType)> {
    let tokens = vocabulary.tokens.iter().zip(&vocabulary.types);
    (0..).zip(tokens).map(|(id, (token, kind))| (id, token.as_str(), *kind))
}

fn is_added(kind: TokenType) -> bool {
    matches!(kind, TokenType::Control | TokenType::UserDefined)
}

// Returns the bytes of a token.
fn piece(token: &str, kind: TokenType, vocabulary: VocabularyKind) -> Vec<u8> {
    match (kind, vocabulary) {
        (TokenType::Control | TokenType::Unused, _) => Vec::new(),
        (TokenType::UserDefined, _) => token.as_bytes().to_vec(),
        (_, VocabularyKind::BytePair) => byte_level_bytes(token),
        (TokenType::Unknown, VocabularyKind::SentencePiece) => Vec::new(),
        (_, VocabularyKind::SentencePiece) => match byte_of(token) {
            Some(byte) => vec![byte],
            None => token.replace('▁', " ").into_bytes(),
        },
    }
}

// Lists pieces by id; a hole has no bytes.
fn table(pieces: BTreeMap<u32, Vec<u8>>) -> Result<Vec<Vec<u8>>, FamilyError> {
    let n_ids = pieces.last_key_value().map_or(0, |(id, _)| *id as usize + 1);
    // A hostile id would allocate memory that no vocabulary needs.
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
    Ok(table)
}

// Parses a step of the `tokenizers` crate from its description.
fn step<T: for<'a> Deserialize<'a>>(description: Option<&Value>) -> Result<Option<T>, FamilyError> {
    let Some(description) = description.filter(|description| !description.is_null()) else {
        return Ok(None);
    };
    T::deserialize(description).map(Some).map_err(|error| {
        FamilyError::Tokenizer(format!("`tokenizer.json` has a step that cannot be used: {error}"))
    })
}

// Returns the added tokens that merges also name; they are pieces of the model, too.
fn added_in_merges<'a>(vocabulary: &'a Vocabulary, merges: &[(&str, &str)]) -> BTreeSet<&'a str> {
    let added: BTreeSet<&str> =
        listed(vocabulary).filter(|(_, _, kind)| is_added(*kind)).map(|(_, token, _)| token).collect();
    let named = |piece: &str| added.get(piece).copied();
    let both =
        merges.iter().flat_map(|(left, right)| [named(left), named(right), named(&format!("{left}{right}"))]);
    both.flatten().collect()
}
