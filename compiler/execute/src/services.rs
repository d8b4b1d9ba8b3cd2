//! External services of a build: a store, an action cache, and digests of source files.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use mc_digest::digest::{ActionDigest, BlobDigest};
use mc_ir::action::{ActionError, ActionNode, Content, Piece, Source};
use mc_store::attester::Trust;
use mc_store::input_memo::InputMemo;
use mc_store::mapping::MappedFile;
use mc_store::traits::{ActionCache, BlobStore};

use crate::remote::RemoteResults;
use crate::suspect_results::SuspectResults;

/// The external services of a build.
#[derive(Clone, Copy)]
pub struct Services<'a> {
    /// Storage of blobs.
    pub store: &'a dyn BlobStore,
    /// Cache of action results.
    pub actions: &'a dyn ActionCache,
    /// The attesters whose results count, in the action cache and elsewhere.
    pub trust: &'a Trust,
    /// Results and blobs found to be wrong so far, in this build and in earlier attempts.
    pub suspects: &'a SuspectResults,
    /// Digests of source files, remembered while the files do not change.
    pub memo: &'a InputMemo,
    /// Results of other machines, if there is a remote cache.
    pub remote: Option<&'a dyn RemoteResults>,
    /// Set when the user stops the build.
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

    /// Records an action that failed on foreign results; those do not count from now on.
    pub(crate) fn refuse(&self, reader: &ActionNode, why: &str, results: &BTreeSet<ActionDigest>) {
        if self.suspects.refused(reader, why, results) {
            // If one cannot be removed, the next command detects it again.
            results.iter().for_each(|result| drop(self.actions.forget(result)));
        }
    }

    /// Returns true if the user stopped the build.
    pub(crate) fn is_interrupted(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }

    /// Returns true if results of actions are no longer needed: the build is interrupted, or cannot succeed.
    pub(crate) fn is_cancelled(&self) -> bool {
        self.is_interrupted() || self.remote.is_some_and(RemoteResults::is_over)
    }
}

/// Returns the bytes of a source, mapped.
///
/// # Errors
/// If the file cannot be read, or is shorter than before.
pub fn source_content(source: &Source) -> Result<Content, ActionError> {
    Ok(Content { parts: vec![Piece::whole(Arc::new(source_file(source)?))] })
}

/// Maps exactly the bytes of a source.
pub(crate) fn source_file(source: &Source) -> Result<MappedFile, ActionError> {
    let mapped = match source.range {
        None => MappedFile::open(&source.path),
        Some(range) => {
            MappedFile::open_range(&source.path, range.start, range.end.saturating_sub(range.start))
        }
    };
    mapped.map_err(|error| ActionError::failed(error).with_help("Check the file, then build again"))
}
