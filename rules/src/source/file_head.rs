//! The head of a model's file, read by an action: the program and the vocabulary, without the weights.

use mc_exporter::format_error::FormatError;
use mc_exporter::model_file::ModelFile;
use mc_ir::action::{ActionError, Content, Piece};

use crate::exporters;

/// Opens the model in a file. Its head is in the first piece, or in the whole file if there is only one
/// piece.
///
/// # Errors
/// Fails if no format recognizes the file, if it is corrupt, or if it does not hold a supported model.
pub(crate) fn open(content: &Content) -> Result<ModelFile, ActionError> {
    exporters::open(first_piece(content), content.n_bytes()).map_err(format_error)
}

/// Returns the location of the chat template in a file, in quotes, for messages.
pub(crate) fn template_place(content: &Content) -> &'static str {
    exporters::recognized(first_piece(content)).map_or("", |container| container.template_place())
}

/// Returns the bytes that contain the head of a file.
pub(crate) fn first_piece(content: &Content) -> &[u8] {
    content.parts.first().map_or(&[][..], Piece::as_slice)
}

/// Converts a format's error into an action's error.
pub(crate) fn format_error(error: FormatError) -> ActionError {
    let help = error.help.clone();
    let failed = ActionError::failed(error);
    match help {
        Some(help) => failed.with_help(help),
        None => failed,
    }
}
