//! The tokenizer of a bundle: the `tokenizer.json` of the checkpoint if there is one, else its SentencePiece model.
//!
//! The official tool prefers the SentencePiece model. That does not find control tokens such as `</s>` in the text that
//! a chat template writes.

use mc_decoder::vocabulary::Vocabulary;
use mc_exporter::format_error::FormatError;
use mc_exporter::model_description::ModelDescription;

use crate::bundle::container::{Section, SectionType, source};
use crate::bundle::piece_model;

/// Name of the file of a SentencePiece model.
const PIECE_MODEL: &str = "tokenizer.model";

/// Name of the file of any other tokenizer.
const TOKENIZER_JSON: &str = "tokenizer.json";

/// Effort of the compression, from 0 to 10.
const LEVEL: u8 = 6;

/// The section with the tokenizer.
///
/// # Errors
/// If the checkpoint has no tokenizer, or its SentencePiece model is broken.
pub(crate) fn section(model: &ModelDescription<'_>, vocabulary: &Vocabulary) -> Result<Section, FormatError> {
    if let Some(json) = model.file(TOKENIZER_JSON) {
        return Ok(Section::of_bytes(SectionType::CompressedTokenizer, &compressed(json)));
    }
    let pieces = model.file(PIECE_MODEL).ok_or_else(|| {
        FormatError::new("The checkpoint has neither `tokenizer.model` nor `tokenizer.json`")
            .with_help("`container \"tflite\"` writes the graph without a tokenizer")
    })?;
    let added = piece_model::added_tokens(pieces, vocabulary)?;
    Ok(source(SectionType::PieceModel, PIECE_MODEL, pieces.len() as u64, &added))
}

/// The length of a text, then the text, compressed. The library is pinned to one version, because each may compress
/// in another way.
fn compressed(text: &[u8]) -> Vec<u8> {
    let mut bytes = (text.len() as u64).to_le_bytes().to_vec();
    bytes.extend(miniz_oxide::deflate::compress_to_vec_zlib(text, LEVEL));
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compressed_bytes_stay_the_same() {
        let text = "the same bytes for the same text, the same bytes for the same text".repeat(3);
        let bytes = compressed(text.as_bytes());
        let inflated = miniz_oxide::inflate::decompress_to_vec_zlib(&bytes[8..]).unwrap();
        assert_eq!(inflated, text.as_bytes());
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        expect_test::expect!["c600000000000000789ccd8c310e001000c4be720ff02992138b48e8c0ef4d62b21bdb34a55823562b2d3c945b1747e149b8f828f8e0b001bc37476b"].assert_eq(&hex);
    }
}
