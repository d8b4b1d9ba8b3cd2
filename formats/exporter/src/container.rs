//! The trait of readable formats: to run a model, convert it or inspect it.

use mc_decoder::vocabulary::Vocabulary;

use crate::format_error::FormatError;
use crate::listing::Listing;
use crate::model_file::ModelFile;
use crate::series::{Joined, Series};

/// A readable format. The bytes are untrusted: every value is checked.
pub trait Container: Sync {
    /// The file extension, without a dot.
    fn extension(&self) -> &'static str;

    /// Returns true if a file that starts with these bytes has this format.
    fn recognizes(&self, head: &[u8]) -> bool;

    /// Reads the model in a file.
    ///
    /// * `head`: the first bytes of the file, at least its whole head
    /// * `n_bytes`: length of the whole file
    ///
    /// # Errors
    /// If the file is broken or holds an unknown model.
    fn open(&self, head: &[u8], n_bytes: u64) -> Result<ModelFile, FormatError>;

    /// Reads the vocabulary in a head, whatever else the file holds.
    ///
    /// # Errors
    /// If the head is broken or has no vocabulary.
    fn vocabulary(&self, head: &[u8]) -> Result<Vocabulary, FormatError>;

    /// Location of the chat template in a file, in quotes, for messages.
    fn template_place(&self) -> &'static str;

    /// Lists the contents of a file, whether or not it is a model.
    ///
    /// # Errors
    /// If the file is broken.
    fn list(&self, head: &[u8], n_bytes: u64) -> Result<Listing, FormatError>;

    /// The series of files that a file name belongs to; `None` for a single file.
    fn series(&self, path: &str) -> Option<Series> {
        let _ = path;
        None
    }

    /// Joins the files of a series into a single one.
    ///
    /// * `files`: the bytes of each file, in order
    ///
    /// # Errors
    /// The error, and the index (from 0) of the broken file if a single one is at fault.
    fn join(&self, files: &[&[u8]]) -> Result<Vec<Joined>, (Option<usize>, FormatError)> {
        let _ = files;
        Err((None, FormatError::new("Files of this format cannot be split")))
    }
}
