//! The worker's program: `mc` itself, as a blob of the input root.

use std::sync::OnceLock;

use mc_digest::digest::BlobDigest;
use mc_ir::action::{Content, Piece};
use mc_store::traits::BlobStore;

use crate::error::RemoteError;
use crate::function::DigestFunction;
use crate::notes::Notes;
use crate::session::naming::theirs;

/// The worker's program.
pub(crate) struct Program {
    pub(crate) bytes: Piece,
    digest: OnceLock<Result<BlobDigest, String>>,
}

impl Program {
    pub(crate) fn new(bytes: Piece) -> Self {
        Self { bytes, digest: OnceLock::new() }
    }

    /// The server digest of the program; computed once.
    ///
    /// # Errors
    /// Fails if the program cannot be read.
    pub(crate) fn digest(
        &self,
        notes: &Notes,
        function: DigestFunction,
        store: &dyn BlobStore,
    ) -> Result<BlobDigest, RemoteError> {
        let digest = self.digest.get_or_init(|| {
            let ours = BlobDigest::of(self.bytes.as_slice());
            let content = || Some(Content { parts: vec![self.bytes.clone()] });
            theirs(notes, function, store, &ours, &content).map_err(|error| error.to_string())
        });
        digest.clone().map_err(RemoteError::Local)
    }
}
