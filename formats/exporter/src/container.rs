//! The trait of formats that are read: to be run, to be made something else of, and to be looked into.

use mc_decoder::vocabulary::Vocabulary;

use crate::format_error::FormatError;
use crate::listing::Listing;
use crate::model_file::ModelFile;
use crate::series::{Joined, Series};

/// A format whose files are read. Bytes are foreign: nothing in them is believed.
pub trait Container: Sync {
    /// The extension of its files' names, without a dot.
    fn extension(&self) -> &'static str;

    /// Tells whether a file that begins so is of this format.
    fn recognizes(&self, head: &[u8]) -> bool;

    /// The model in a file.
    ///
    /// * `head`: the file's first bytes, at least its whole head
    /// * `n_bytes`: length of the whole file
    ///
    /// # Errors
    /// When the file is broken, or holds no model that is known.
    fn open(&self, head: &[u8], n_bytes: u64) -> Result<ModelFile, FormatError>;

    /// The vocabulary in a head, whatever the file holds besides.
    ///
    /// # Errors
    /// When the head is broken, or has none.
    fn vocabulary(&self, head: &[u8]) -> Result<Vocabulary, FormatError>;

    /// The place of the chat template in a file, in quotes, for messages.
    fn template_place(&self) -> &'static str;

    /// The contents of a file, model or not.
    ///
    /// # Errors
    /// When it is broken.
    fn list(&self, head: &[u8], n_bytes: u64) -> Result<Listing, FormatError>;

    /// The series of files that a name tells of; `None` where the file stands for itself.
    fn series(&self, path: &str) -> Option<Series> {
        let _ = path;
        None
    }

    /// The one file that a series stands for.
    ///
    /// * `files`: the bytes of each, in order
    ///
    /// # Errors
    /// The number of the file that is broken, from 0, if it is one alone, and what is wrong.
    fn join(&self, files: &[&[u8]]) -> Result<Vec<Joined>, (Option<usize>, FormatError)> {
        let _ = files;
        Err((None, FormatError::new("Files of this format are never spread over several")))
    }
}
