//! What the server calls things that have a name here.
//!
//! A name is kept for all times and stands in keys and in results that others believe, so both digests are computed from
//! the same bytes as they are read: bytes that are not those of our name get no other name.

use mc_digest::digest::BlobDigest;
use mc_ir::action::Content;
use mc_ir::reapi::{self, EncodedAction};
use mc_store::traits::BlobStore;

use crate::error::RemoteError;
use crate::function::{DigestFunction, Hashing};
use crate::notes::Notes;
use crate::remote::{Made, Remote, renamed};

/// Bytes that are hashed before their memory is given back; many do so at a time.
const PIECE: usize = 2 << 20;

/// Bytes of a source that are mapped at a time.
const STRETCH: u64 = 2 << 20;

/// The error for a stored blob whose bytes do not match its digest. The store is told to look again.
pub(crate) fn damaged(store: &dyn BlobStore, ours: &BlobDigest) -> Result<RemoteError, RemoteError> {
    store.doubt(ours)?;
    Ok(RemoteError::Local(format!("The stored blob `{ours}` has other bytes than its digest says")))
}

impl Remote {
    /// An action in the server's digests.
    pub(crate) fn encoded(
        &self,
        function: DigestFunction,
        store: &dyn BlobStore,
        made: &Made<'_>,
    ) -> Result<EncodedAction, RemoteError> {
        let mut inputs = Vec::new();
        for (index, input) in made.inputs.iter().enumerate() {
            let source = || (made.source)(index);
            let parts = input.parts().iter().map(|part| self.theirs(function, store, part, &source));
            let parts = parts.collect::<Result<Vec<_>, _>>()?;
            inputs.push(renamed(input, parts));
        }
        Ok(reapi::encode_action_with(&|bytes| function.digest(bytes), made.node, &inputs))
    }

    /// What the server calls a blob; computed once for all times.
    pub(crate) fn theirs(
        &self,
        function: DigestFunction,
        store: &dyn BlobStore,
        ours: &BlobDigest,
        source: &dyn Fn() -> Option<Content>,
    ) -> Result<BlobDigest, RemoteError> {
        if function == DigestFunction::Blake3 {
            return Ok(*ours);
        }
        let Notes { known, promised, .. } = &self.notes;
        if let Some(named) = known.theirs(ours).or_else(|| promised.theirs(function, ours)) {
            return Ok(named);
        }
        let (mut hashing, mut check) = (Hashing::new(function), Hashing::new(DigestFunction::Blake3));
        match store.open(ours)? {
            Some(blob) => {
                for (index, piece) in blob.chunks(PIECE).enumerate() {
                    hashing.update(piece);
                    check.update(piece);
                    blob.release((index + 1) * PIECE);
                }
                if check.finish() != *ours {
                    return Err(damaged(store, ours)?);
                }
            }
            None => {
                let mut first = 0;
                while first < ours.n_bytes {
                    let end = ours.n_bytes.min(first + STRETCH);
                    // Asked for anew, and so mapped anew, for each stretch: no more of it stays in memory.
                    let content =
                        source().ok_or_else(|| RemoteError::Local(format!("Blob {ours} is gone")))?;
                    let Some(stretch) = content.piece(first..end) else { break };
                    for piece in stretch.as_slice().chunks(PIECE) {
                        hashing.update(piece);
                        check.update(piece);
                    }
                    first = end;
                }
                if check.finish() != *ours {
                    return Err(RemoteError::Local(format!("An input changed while it was read: {ours}")));
                }
            }
        }
        let theirs = hashing.finish();
        self.notes.known.add(*ours, theirs);
        Ok(theirs)
    }

    /// What is here under a name of the server, as far as that is known.
    pub(crate) fn known_here(&self, function: DigestFunction, theirs: &BlobDigest) -> Option<BlobDigest> {
        match function {
            DigestFunction::Blake3 => Some(*theirs),
            DigestFunction::Sha256 => self.notes.known.ours(theirs),
        }
    }
}
