//! The tokenizer of a bundle: the SentencePiece model of the checkpoint if there is one, else its `tokenizer.json`.

use mc_decoder::vocabulary::{Vocabulary, VocabularyKind};
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
    let pieces = model.file(PIECE_MODEL).filter(|_| vocabulary.kind == VocabularyKind::SentencePiece);
    if let Some(pieces) = pieces {
        let added = piece_model::added_tokens(pieces, vocabulary)?;
        return Ok(source(SectionType::PieceModel, PIECE_MODEL, pieces.len() as u64, &added));
    }
    let json = model.file(TOKENIZER_JSON).ok_or_else(|| {
        FormatError::new("The checkpoint has neither `tokenizer.model` nor `tokenizer.json`")
            .with_help("`container \"tflite\"` writes the graph without a tokenizer")
    })?;
    Ok(Section::of_bytes(SectionType::CompressedTokenizer, &compressed(json)))
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
        expect_test::expect![[r#""#]].assert_eq(&hex);
    }
}
