//! What a build needs from the outside: a store, an action cache, and digests of source files.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};

use mc_digest::digest::BlobDigest;
use mc_ir::action::{ActionError, Bytes, Content, Piece, Source};
use mc_store::input_memo::InputMemo;
use mc_store::mapping::MappedFile;
use mc_store::traits::{ActionCache, BlobStore};

use crate::remote::RemoteResults;

/// The outside world of a build.
#[derive(Clone, Copy)]
pub struct Services<'a> {
    /// Where blobs lie.
    pub store: &'a dyn BlobStore,
    /// Where results are remembered.
    pub actions: &'a dyn ActionCache,
    /// Digests of source files, remembered while the files do not change.
    pub memo: &'a InputMemo,
    /// Results of other machines, where a team shares them.
    pub remote: Option<&'a dyn RemoteResults>,
    /// Set when the user wants the build to stop.
    pub cancelled: &'a AtomicBool,
}

impl Services<'_> {
    /// The digest of a source's bytes.
    pub(crate) fn source_digest(&self, source: &Source) -> Result<BlobDigest, ActionError> {
        let digest = match source.range {
            None => self.memo.digest_file(&source.path),
            Some(range) => {
                let len = range.end.checked_sub(range.start).ok_or_else(|| {
                    let path = source.path.display();
                    ActionError::failed(format!("A range of `{path}` ends before it begins; this is a bug"))
                })?;
                self.memo.digest_range(&source.path, range.start, len)
            }
        };
        digest.map_err(|error| ActionError::failed(error).with_help("Check the file, then build again"))
    }

    /// Whether the user wants the build to stop.
    pub(crate) fn is_interrupted(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }

    /// Whether nobody wants what steps give any more: the build is interrupted, or cannot succeed.
    pub(crate) fn is_cancelled(&self) -> bool {
        self.is_interrupted() || self.remote.is_some_and(RemoteResults::is_over)
    }
}

/// The bytes of a source, mapped.
///
/// # Errors
/// When the file cannot be read, or is shorter than it was.
pub fn source_content(source: &Source) -> Result<Content, ActionError> {
    let (file, range) = source_file(source)?;
    let bytes: Bytes = std::sync::Arc::new(file);
    Ok(Content { parts: vec![Piece { bytes, range }] })
}

/// The file in which a source is, mapped, and where.
pub(crate) fn source_file(source: &Source) -> Result<(MappedFile, Range<usize>), ActionError> {
    let file = MappedFile::open(&source.path).map_err(ActionError::failed)?;
    let n_bytes = file.len();
    let range = match source.range {
        None => 0..n_bytes,
        Some(range) => {
            let bounds = usize::try_from(range.start).ok().zip(usize::try_from(range.end).ok());
            match bounds {
                Some((start, end)) if start <= end && end <= n_bytes => start..end,
                _ => {
                    return Err(ActionError::failed(format!(
                        "`{}` has {n_bytes} bytes; expected at least {}; it changed during the build",
                        source.path.display(),
                        range.end
                    )));
                }
            }
        }
    };
    Ok((file, range))
}
