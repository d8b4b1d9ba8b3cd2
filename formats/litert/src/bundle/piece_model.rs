//! The tokens that a checkpoint adds to its SentencePiece model.
//!
//! They are in other files of the checkpoint, but LiteRT-LM reads only the model. Two messages of Protocol Buffers, one
//! behind the other, are one message with the elements of both, so the added pieces are written behind the model.
//!
//! Source: sentencepiece_model.proto of SentencePiece.

use mc_decoder::vocabulary::{TokenType, Vocabulary};
use mc_exporter::format_error::FormatError;

use crate::bundle::protobuf::Message;

/// The number of the field of pieces.
const PIECES: u64 = 1;

/// The pieces of the tokens whose ids are beyond the model.
///
/// # Errors
/// If the model is broken.
pub(crate) fn added_tokens(model: &[u8], vocabulary: &Vocabulary) -> Result<Vec<u8>, FormatError> {
    let n_pieces = n_pieces(model).ok_or_else(|| FormatError::new("`tokenizer.model` is broken"))?;
    let tokens = vocabulary.tokens.iter().zip(&vocabulary.types).skip(n_pieces);
    let tokens: Vec<_> = tokens.collect();
    let n_used = tokens.iter().rposition(|(_, kind)| **kind != TokenType::Unused).map_or(0, |last| last + 1);
    let added = tokens[..n_used].iter().fold(Message::new(), |message, (token, kind)| {
        // Only pieces of this type are found in a text, and templates contain control tokens as text.
        let kind = if **kind == TokenType::Unused { TokenType::Unused } else { TokenType::UserDefined };
        message.message(1, &Message::new().text(1, token).float(2, 0.0).integer(3, kind as u64))
    });
    Ok(added.into_bytes())
}

/// Number of pieces of a model; `None` if it is broken.
fn n_pieces(mut bytes: &[u8]) -> Option<usize> {
    let mut n_pieces = 0;
    while !bytes.is_empty() {
        let key = varint(&mut bytes)?;
        let n_skipped = match key & 7 {
            0 => {
                varint(&mut bytes)?;
                0
            }
            1 => 8,
            2 => usize::try_from(varint(&mut bytes)?).ok()?,
            5 => 4,
            _ => return None,
        };
        bytes = bytes.get(n_skipped..)?;
        n_pieces += usize::from(key >> 3 == PIECES);
    }
    Some(n_pieces)
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use mc_decoder::pre_tokenizer::PreTokenizer;
    use mc_decoder::vocabulary::{SpecialTokens, VocabularyKind};

    use super::*;

    fn vocabulary(tokens: &[(&str, TokenType)]) -> Vocabulary {
        Vocabulary {
            kind: VocabularyKind::SentencePiece,
            pre_tokenizer: PreTokenizer::NONE,
            tokens: tokens.iter().map(|(token, _)| (*token).to_owned()).collect(),
            scores: Vec::new(),
            types: tokens.iter().map(|(_, kind)| *kind).collect(),
            merges: Vec::new(),
            special: SpecialTokens::default(),
            space_prefix: None,
            chat_template: None,
            named_templates: Vec::new(),
        }
    }

    #[test]
    fn tokens_beyond_the_model_are_added_as_text() {
        let piece = Message::new().text(1, "a").float(2, 0.0);
        // The second message is a setting of the trainer.
        let model = Message::new().message(1, &piece).message(2, &Message::new().integer(4, 1)).into_bytes();
        let vocabulary = vocabulary(&[
            ("a", TokenType::Normal),
            ("[PAD1]", TokenType::Unused),
            ("<end>", TokenType::Control),
            ("[PAD3]", TokenType::Unused),
        ]);
        let added = added_tokens(&model, &vocabulary).unwrap();
        let piece = |text: &str, kind: u64| Message::new().text(1, text).float(2, 0.0).integer(3, kind);
        let expected = Message::new().message(1, &piece("[PAD1]", 5)).message(1, &piece("<end>", 4));
        assert_eq!(added, expected.into_bytes());
    }

    #[test]
    fn broken_models_are_errors() {
        let empty = vocabulary(&[]);
        for model in [&b"\x0a\xff"[..], b"\x0a", b"\x0b", b"\x0a\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01"]
        {
            assert!(added_tokens(model, &empty).is_err());
        }
    }
}
