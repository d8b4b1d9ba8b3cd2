//! The head of a model's file that an action reads: what the model computes and its vocabulary, without its weights.

use mc_exporter::format_error::FormatError;
use mc_exporter::model_file::ModelFile;
use mc_ir::action::{ActionError, Content, Piece};

use crate::exporters;

/// The model in a file, whose head is its first piece, or the whole file when it is one.
///
/// # Errors
/// When no format recognizes the file, it is broken, or holds no model that we know.
pub(crate) fn open(content: &Content) -> Result<ModelFile, ActionError> {
    exporters::open(first_piece(content), content.n_bytes()).map_err(format_error)
}

/// The place of the chat template in a file, in quotes, for messages.
pub(crate) fn template_place(content: &Content) -> &'static str {
    exporters::recognized(first_piece(content)).map_or("", |container| container.template_place())
}

/// The bytes that the head of a file is in.
pub(crate) fn first_piece(content: &Content) -> &[u8] {
    content.parts.first().map_or(&[][..], Piece::as_slice)
}

/// A format's message about something that cannot be read or written.
pub(crate) fn format_error(error: FormatError) -> ActionError {
    let help = error.help.clone();
    let failed = ActionError::failed(error);
    match help {
        Some(help) => failed.with_help(help),
        None => failed,
    }
}
