//! `tokenizer.model`: a SentencePiece model, read from its protobuf.
//!
//! Only the fields that affect a vocabulary are read. Nothing is copied: a piece is a slice of the file, so
//! memory is bounded by the number of pieces that the file really contains.
//!
//! Source: `sentencepiece_model.proto` of SentencePiece.

use mc_decoder::vocabulary::TokenType;

use crate::error::FamilyError;
use crate::tokenizer::protobuf::{Field, Fields, ProtobufError};

/// The name of the file.
pub const TOKENIZER_MODEL: &str = "tokenizer.model";

/// A SentencePiece model.
#[derive(Debug)]
pub struct SentencePieceModel<'a> {
    /// The pieces; an id is an index into this list.
    pub pieces: Vec<Piece<'a>>,
    /// True if a space is put before a text.
    pub add_dummy_prefix: bool,
}

/// One piece of text.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Piece<'a> {
    /// Its text, with `▁` for a space.
    pub text: &'a str,
    /// Pieces with a higher score are merged earlier.
    pub score: f32,
    /// Its type.
    pub kind: TokenType,
}

/// The settings that may make a model unsupported; the values here are those of absent fields.
struct Settings {
    algorithm: u64,
    add_dummy_prefix: bool,
    remove_extra_whitespaces: bool,
    escape_whitespaces: bool,
    has_table: bool,
}

impl<'a> SentencePieceModel<'a> {
    /// Reads the bytes of `tokenizer.model`.
    ///
    /// # Errors
    /// Fails if they are not a SentencePiece model, or one of an unsupported kind.
    pub fn from_bytes(bytes: &'a [u8]) -> Result<Self, FamilyError> {
        let mut settings = Settings {
            algorithm: 1,
            add_dummy_prefix: true,
            remove_extra_whitespaces: true,
            escape_whitespaces: true,
            has_table: false,
        };
        let mut pieces = Vec::new();
        for field in Fields::new(bytes) {
            match field.map_err(broken)? {
                (1, Field::Bytes(piece)) => pieces.push(read_piece(piece, pieces.len())?),
                (2, Field::Bytes(trainer)) => settings.read_trainer(trainer).map_err(broken)?,
                (3, Field::Bytes(normalizer)) => settings.read_normalizer(normalizer).map_err(broken)?,
                _ => {}
            }
        }
        if pieces.is_empty() {
            return Err(FamilyError::Tokenizer(
                "`tokenizer.model` holds no pieces; expected a SentencePiece model".to_owned(),
            ));
        }
        settings.check()?;
        Ok(Self { pieces, add_dummy_prefix: settings.add_dummy_prefix })
    }
}

impl Settings {
    fn read_trainer(&mut self, bytes: &[u8]) -> Result<(), ProtobufError> {
        for field in Fields::new(bytes) {
            if let (3, Field::Number(algorithm)) = field? {
                self.algorithm = algorithm;
            }
        }
        Ok(())
    }

    fn read_normalizer(&mut self, bytes: &[u8]) -> Result<(), ProtobufError> {
        for field in Fields::new(bytes) {
            match field? {
                (2, Field::Bytes(table)) => self.has_table = !table.is_empty(),
                (3, Field::Number(flag)) => self.add_dummy_prefix = flag != 0,
                (4, Field::Number(flag)) => self.remove_extra_whitespaces = flag != 0,
                (5, Field::Number(flag)) => self.escape_whitespaces = flag != 0,
                _ => {}
            }
        }
        Ok(())
    }

    fn check(&self) -> Result<(), FamilyError> {
        let algorithm = match self.algorithm {
            1 => "unigram",
            2 => "",
            3 => "words",
            4 => "characters",
            _ => "an unknown algorithm",
        };
        if !algorithm.is_empty() {
            return Err(other_kind(&format!("it was trained as {algorithm}")));
        }
        if self.has_table {
            return Err(other_kind("it rewrites characters by a table (`precompiled_charsmap`)"));
        }
        if self.remove_extra_whitespaces {
            return Err(other_kind("it joins runs of spaces (`remove_extra_whitespaces`)"));
        }
        if !self.escape_whitespaces {
            return Err(other_kind("it keeps spaces unchanged (`escape_whitespaces` is off)"));
        }
        Ok(())
    }
}

fn read_piece(bytes: &[u8], index: usize) -> Result<Piece<'_>, FamilyError> {
    let wrong = |what: &str| FamilyError::Tokenizer(format!("Piece {index} of `tokenizer.model` {what}"));
    let (mut text, mut score, mut kind) = (None, 0.0, 1);
    for field in Fields::new(bytes) {
        match field.map_err(broken)? {
            (1, Field::Bytes(bytes)) => {
                text = Some(std::str::from_utf8(bytes).map_err(|_| wrong("is not UTF-8"))?);
            }
            (2, Field::Fixed32(bits)) => score = f32::from_bits(bits),
            (3, Field::Number(number)) => kind = number,
            _ => {}
        }
    }
    let text = text.filter(|text| !text.is_empty()).ok_or_else(|| wrong("has no text"))?;
    if !score.is_finite() {
        return Err(wrong(&format!("has the score {score}; expected a finite one")));
    }
    let kind = match kind {
        1 => TokenType::Normal,
        2 => TokenType::Unknown,
        3 => TokenType::Control,
        4 => TokenType::UserDefined,
        5 => TokenType::Unused,
        6 => TokenType::Byte,
        other => return Err(wrong(&format!("has the type {other}; expected 1 to 6"))),
    };
    Ok(Piece { text, score, kind })
}

fn broken(error: ProtobufError) -> FamilyError {
    FamilyError::Tokenizer(format!("`tokenizer.model` cannot be read: {error}; download it again"))
}

fn other_kind(reason: &str) -> FamilyError {
    FamilyError::Tokenizer(format!(
        "`tokenizer.model` cannot be used, because {reason}; expected byte-pair encoding \
         that leaves text as it is"
    ))
}
