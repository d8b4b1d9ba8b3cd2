//! SentencePiece vocabularies: from `tokenizer.model`, or from a `tokenizer.json` that was converted from
//! one.
//!
//! `tokenizer.json` has an order of merges and no scores. The score of a piece is computed from that order,
//! so that joining the pair with the highest score does the same merges; for the files that Transformers
//! converts from a `tokenizer.model`, the scores equal the original ones. (llama.cpp's converter writes one
//! score for all pieces here, which encodes text differently from the training.)
//!
//! Source: `_create_vocab_sentencepiece` and Phi-3's `set_vocab`, `convert_hf_to_gguf.py` of llama.cpp.

use std::collections::{BTreeMap, BTreeSet};

use mc_decoder::vocabulary::TokenType;
use serde_json::Value;

use crate::error::FamilyError;
use crate::tokenizer::added_tokens::{self, AddedToken, looks_special};
use crate::tokenizer::sentence_piece::SentencePieceModel;
use crate::tokenizer::tokenizer_json::{Merge, TokenizerJson};
use crate::tokenizer_files::TokenizerFiles;

/// The score of an id without any entry.
const PADDING_SCORE: f32 = -10000.0;
/// The score of a token that is cut out before the model sees the text.
const ADDED_SCORE: f32 = -1000.0;

/// The score of pieces that are merged last.
const TIED_SCORE: f32 = -1e9;

/// Texts, scores and types by id.
#[derive(Debug)]
pub(crate) struct PieceTable {
    pub(crate) tokens: Vec<String>,
    pub(crate) scores: Vec<f32>,
    pub(crate) types: Vec<TokenType>,
    /// True if a space is put before a text.
    pub(crate) space_prefix: bool,
}

/// A table under construction.
pub(crate) struct Pieces {
    table: PieceTable,
    configured: Vec<AddedToken>,
    listed: Vec<(String, u32)>,
    fast: Vec<AddedToken>,
    is_phi3: bool,
}

impl Pieces {
    /// Reads the pieces of `tokenizer.model`, with the added tokens of the accompanying files.
    ///
    /// # Errors
    /// Fails if one of the files cannot be read.
    pub(crate) fn of_model(
        model: &[u8],
        files: &TokenizerFiles<'_>,
        json: Option<&TokenizerJson>,
        tokenizer_config: &Value,
        n_vocab: u32,
    ) -> Result<Self, FamilyError> {
        let model = SentencePieceModel::from_bytes(model)?;
        let mut table = PieceTable::padded(n_vocab, model.add_dummy_prefix);
        for (id, piece) in model.pieces.iter().enumerate().take(n_vocab as usize) {
            // The reference has no user-defined pieces; those that matter are added tokens, too.
            let kind = if piece.kind == TokenType::UserDefined { TokenType::Normal } else { piece.kind };
            table.put(id, piece.text.to_owned(), piece.score, kind);
        }
        let listed = added_tokens::of_file(files.added_tokens)?;
        let configured = added_tokens::of_config(tokenizer_config)?;
        let fast = json.map_or_else(Vec::new, |json| json.added_tokens.clone());
        Ok(Self { table, configured, listed, fast, is_phi3: false })
    }

    /// Applies Phi-3's rules: only a flag makes a control token, and `tokenizer.json` takes precedence.
    pub(crate) fn phi3(mut self) -> Self {
        self.is_phi3 = true;
        self.configured.append(&mut self.fast);
        self
    }

    /// Returns the table with its added tokens, without ids that exceed the embedding.
    pub(crate) fn finish(mut self) -> PieceTable {
        for (text, id) in self.listed {
            self.table.put(id as usize, text, ADDED_SCORE, TokenType::UserDefined);
        }
        for token in self.configured {
            if self.is_phi3 {
                let kind = if token.special { TokenType::Control } else { TokenType::UserDefined };
                self.table.put(token.id as usize, token.content, ADDED_SCORE, kind);
            } else {
                self.table.add(&token);
            }
        }
        // Old configurations do not list tokens, but the fast tokenizer has those that fine-tuning added.
        for token in self.fast {
            if self.table.types.get(token.id as usize) == Some(&TokenType::Unused) {
                self.table.add(&token);
            }
        }
        self.table
    }
}

impl PieceTable {
    fn padded(n_vocab: u32, space_prefix: bool) -> Self {
        Self {
            tokens: (0..n_vocab).map(|id| format!("[PAD{id}]")).collect(),
            scores: vec![PADDING_SCORE; n_vocab as usize],
            types: vec![TokenType::Unused; n_vocab as usize],
            space_prefix,
        }
    }

    fn put(&mut self, id: usize, text: String, score: f32, kind: TokenType) {
        if id < self.tokens.len() {
            (self.tokens[id], self.scores[id], self.types[id]) = (text, score, kind);
        }
    }

    fn add(&mut self, token: &AddedToken) {
        let id = token.id as usize;
        if token.special || looks_special(&token.content) {
            self.put(id, token.content.clone(), ADDED_SCORE, TokenType::Control);
        } else {
            // Such a token is searched in text with plain spaces.
            self.put(id, token.content.replace('▁', " "), ADDED_SCORE, TokenType::UserDefined);
        }
    }
}

/// Reads the vocabulary of a `tokenizer.json` that was converted from a SentencePiece model.
///
/// # Errors
/// Fails if an id is not a row of the embedding.
pub(crate) fn of_json(
    json: &TokenizerJson,
    tokenizer_config: &Value,
    n_vocab: u32,
) -> Result<PieceTable, FamilyError> {
    let mut table = PieceTable::padded(n_vocab, json.has_space_prefix());
    let scores = scores(json)?;
    for (piece, id) in &json.model.vocab {
        if *id >= n_vocab {
            return Err(FamilyError::Tokenizer(format!(
                "`tokenizer.json` gives `{piece}` the id {id}, but the token embedding has {n_vocab} rows; resize the \
                 embedding, or take the tokenizer that the model was trained with"
            )));
        }
        let kind = if is_byte(piece) {
            TokenType::Byte
        } else if json.model.unk_token.as_deref() == Some(piece) {
            TokenType::Unknown
        } else {
            TokenType::Normal
        };
        let score = scores.get(id).copied().unwrap_or(0.0);
        table.put(*id as usize, piece.clone(), score, kind);
    }
    let configured = added_tokens::of_config(tokenizer_config)?;
    for token in added_tokens::joined(&json.added_tokens, &configured, &json.model.vocab) {
        table.add(&token);
    }
    Ok(table)
}

/// Returns true if a piece represents one raw byte.
pub(crate) fn is_byte(piece: &str) -> bool {
    byte_of(piece).is_some()
}

/// Returns the byte that a piece such as `<0x0A>` represents.
pub(crate) fn byte_of(piece: &str) -> Option<u8> {
    let digits = piece.strip_prefix("<0x")?.strip_suffix('>')?;
    let is_hex = digits.len() == 2 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    if is_hex { u8::from_str_radix(digits, 16).ok() } else { None }
}

// Returns the score of each piece that is the result of merges.
//
// Transformers lists merges by their result, the highest score first, so the position of a piece among the
// results is its rank, and in a SentencePiece model the score is minus that rank. Ids are given in the same
// order: if the ranks rise with the ids, the scores are those of the model. Pieces whose merges are not
// contiguous had one common score, the lowest; these are the runs of spaces that were added to Llama's
// vocabulary by hand.
fn scores(json: &TokenizerJson) -> Result<BTreeMap<u32, f32>, FamilyError> {
    let mut order: Vec<u32> = Vec::new();
    let mut n_places: BTreeMap<u32, u32> = BTreeMap::new();
    for merge in &json.model.merges {
        let (left, right) = Merge::pieces(merge)?;
        if let Some(id) = json.model.vocab.get(&format!("{left}{right}"))
            && order.last() != Some(id)
        {
            order.push(*id);
            *n_places.entry(*id).or_default() += 1;
        }
    }
    let has_tied = n_places.values().any(|places| *places > 1);
    let is_tied = |id: u32, piece: &str| {
        let is_spaces = piece.chars().all(|letter| letter == '▁');
        has_tied && (is_spaces || n_places.get(&id).is_some_and(|places| *places > 1))
    };
    let added: BTreeSet<u32> = json.added_tokens.iter().map(|token| token.id).collect();
    let (mut tied, mut own, mut pieces) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
    for (piece, id) in &json.model.vocab {
        if is_tied(*id, piece) {
            tied.insert(*id, TIED_SCORE);
        } else if n_places.contains_key(id) {
            own.insert(*id, 0.0);
        }
        let is_added = added.contains(id);
        if !is_byte(piece) && !is_added && json.model.unk_token.as_deref() != Some(piece) {
            pieces.push(*id);
        }
    }
    order.retain(|id| own.contains_key(id));
    let first = pieces.iter().min().copied().unwrap_or(0);
    if order.windows(2).all(|pair| pair[0] < pair[1]) {
        own.extend(pieces.into_iter().map(|id| (id, -((id - first) as f32))));
    } else {
        for (place, id) in order.into_iter().enumerate() {
            own.insert(id, -(place as f32));
        }
    }
    own.extend(tied);
    Ok(own)
}
