//! Mapping from local digests to the server's digests.
//!
//! A pair of digests is kept permanently, and appears in keys and results that others trust. Both digests are therefore
//! computed over the same bytes in one pass, and the pair is rejected if the bytes do not match the local digest.

use mc_digest::digest::BlobDigest;
use mc_ir::action::Content;
use mc_ir::output::Output;
use mc_ir::reapi::{self, EncodedAction};
use mc_store::traits::BlobStore;

use crate::error::RemoteError;
use crate::function::{DigestFunction, Hashing};
use crate::local_action::LocalAction;
use crate::notes::Notes;

/// Bytes hashed before their memory is released; many threads do this in parallel.
const PIECE: usize = 2 << 20;

/// Bytes of a source mapped at a time.
const STRETCH: u64 = 2 << 20;

/// Returns the error for a stored blob whose bytes do not match its digest, and makes the store verify the blob again.
pub(crate) fn damaged(store: &dyn BlobStore, ours: &BlobDigest) -> Result<RemoteError, RemoteError> {
    store.doubt(ours)?;
    Ok(RemoteError::Local(format!("The stored blob `{ours}` has other bytes than its digest says")))
}

/// The same output with other digests of its blobs.
pub(crate) fn renamed(output: &Output, parts: Vec<BlobDigest>) -> Output {
    match (output, parts.first()) {
        (Output::File(_), Some(blob)) => Output::File(*blob),
        _ => Output::Composite(parts),
    }
}

/// Encodes an action with the server's digests.
///
/// # Errors
/// Fails if an input cannot be read.
pub(crate) fn encoded(
    notes: &Notes,
    function: DigestFunction,
    store: &dyn BlobStore,
    made: &LocalAction<'_>,
) -> Result<EncodedAction, RemoteError> {
    let mut inputs = Vec::new();
    for (index, input) in made.inputs.iter().enumerate() {
        let source = || (made.source)(index);
        let parts = input.parts().iter().map(|part| theirs(notes, function, store, part, &source));
        let parts = parts.collect::<Result<Vec<_>, _>>()?;
        inputs.push(renamed(input, parts));
    }
    Ok(reapi::encode_action_with(&|bytes| function.digest(bytes), made.node, &inputs))
}

/// The server digest of a blob; computed once and kept.
///
/// * `source`: returns its bytes if it is not a blob of the store
///
/// # Errors
/// Fails if the blob cannot be read, or its bytes do not match its digest.
pub(crate) fn theirs(
    notes: &Notes,
    function: DigestFunction,
    store: &dyn BlobStore,
    ours: &BlobDigest,
    source: &dyn Fn() -> Option<Content>,
) -> Result<BlobDigest, RemoteError> {
    if function == DigestFunction::Blake3 {
        return Ok(*ours);
    }
    if let Some(named) = notes.known.theirs(ours).or_else(|| notes.promised.theirs(function, ours)) {
        return Ok(named);
    }
    let mut both = Both { hashing: Hashing::new(function), check: Hashing::new(DigestFunction::Blake3) };
    let theirs = match store.open(ours)? {
        Some(blob) => {
            for (index, piece) in blob.chunks(PIECE).enumerate() {
                both.update(piece);
                blob.release((index + 1) * PIECE);
            }
            let Some(theirs) = both.finish(ours) else { return Err(damaged(store, ours)?) };
            theirs
        }
        None => {
            let changed = || RemoteError::Local(format!("An input changed while it was read: {ours}"));
            both.read(ours, source)?;
            both.finish(ours).ok_or_else(changed)?
        }
    };
    notes.known.add(*ours, theirs);
    Ok(theirs)
}

/// Two digests of the same bytes.
struct Both {
    hashing: Hashing,
    check: Hashing,
}

impl Both {
    fn update(&mut self, bytes: &[u8]) {
        self.hashing.update(bytes);
        self.check.update(bytes);
    }

    /// Hashes the bytes of an input, if it has a source.
    fn read(&mut self, ours: &BlobDigest, source: &dyn Fn() -> Option<Content>) -> Result<(), RemoteError> {
        let mut first = 0;
        while first < ours.n_bytes {
            let end = ours.n_bytes.min(first + STRETCH);
            // Mapped again for each range, so that only one range stays in memory.
            let content = source().ok_or_else(|| RemoteError::Local(format!("Blob {ours} is gone")))?;
            let Some(stretch) = content.piece(first..end) else { break };
            stretch.as_slice().chunks(PIECE).for_each(|piece| self.update(piece));
            first = end;
        }
        Ok(())
    }

    /// The server digest, if the bytes match the local digest.
    fn finish(self, ours: &BlobDigest) -> Option<BlobDigest> {
        (self.check.finish() == *ours).then(|| self.hashing.finish())
    }
}
