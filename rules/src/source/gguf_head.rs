//! The head of a GGUF that an action reads: its keys, its program and its vocabulary, without its weights.

use mc_decoder::program::Decoder;
use mc_decoder::vocabulary::Vocabulary;
use mc_gguf::model::decoder;
use mc_gguf::reader::Gguf;
use mc_gguf::vocabulary_keys::vocabulary;
use mc_ir::action::{ActionError, Content, Piece};

/// The place of the chat template in a GGUF.
pub(crate) const GGUF_TEMPLATE: &str = "`tokenizer.chat_template` of the GGUF";

/// Reads a head without the tensors behind it.
///
/// # Errors
/// When it is broken.
pub(crate) fn parse(bytes: &[u8]) -> Result<Gguf, ActionError> {
    Gguf::parse(bytes, u64::MAX).map_err(ActionError::failed)
}

/// The head of a GGUF whose pieces are given: the first piece, or the whole file when it is one.
///
/// # Errors
/// When it is broken.
pub(crate) fn of_content(content: &Content) -> Result<Gguf, ActionError> {
    let first = content.parts.first().map_or(&[][..], Piece::as_slice);
    Gguf::parse(first, content.n_bytes()).map_err(ActionError::failed)
}

/// The program and the vocabulary in a GGUF, without its weights.
///
/// # Errors
/// When the file is broken, or no model that we know.
pub(crate) fn program(content: &Content) -> Result<(Decoder, Vocabulary), ActionError> {
    let gguf = of_content(content)?;
    let decoder = decoder(&gguf).map_err(ActionError::failed)?;
    Ok((decoder, vocabulary(&gguf).map_err(ActionError::failed)?))
}
