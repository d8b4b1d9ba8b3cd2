//! Locations of bytes to upload.
//!
//! Blobs and inputs are hashed once more before an upload. Not every server compares bytes with their digest, and a
//! worker runs on what is stored there.

use mc_digest::digest::BlobDigest;
use mc_digest::hasher::Hasher;
use mc_ir::action::Piece;
use mc_store::mapping::MappedFile;
use mc_store::traits::BlobStore;

use crate::error::RemoteError;
use crate::session::naming::damaged;

/// Bytes hashed before their memory is released.
const PIECE: usize = 2 << 20;

/// The location of a blob's bytes.
pub(crate) enum Bytes<'a> {
    Message(&'a [u8]),
    Owned(Vec<u8>),
    /// Part of a file that describes itself.
    Piece(Piece),
    /// Part of an input with this digest.
    Input(BlobDigest, Piece),
    Blob(BlobDigest),
}

impl Bytes<'_> {
    /// Opens and verifies the bytes.
    ///
    /// # Errors
    /// Fails if the bytes are gone, or do not match their digest.
    pub(crate) fn open(&self, store: &dyn BlobStore) -> Result<Opened<'_>, RemoteError> {
        match self {
            Self::Message(message) => Ok(Opened::Message(message)),
            Self::Owned(message) => Ok(Opened::Message(message)),
            Self::Piece(piece) => Ok(Opened::Message(piece.as_slice())),
            Self::Input(ours, piece) => {
                let opened = Opened::Message(piece.as_slice());
                if opened.digest() != *ours {
                    return Err(RemoteError::Local(format!("An input changed while it was read: {ours}")));
                }
                Ok(opened)
            }
            Self::Blob(ours) => {
                let opened = store.open(ours)?.map(Opened::Blob);
                let opened = opened.ok_or_else(|| RemoteError::Local(format!("Blob {ours} is gone")))?;
                if opened.digest() != *ours {
                    return Err(damaged(store, ours)?);
                }
                Ok(opened)
            }
        }
    }
}

/// The bytes of a blob.
pub(crate) enum Opened<'a> {
    Message(&'a [u8]),
    Blob(MappedFile),
}

impl Opened<'_> {
    /// The digest of the bytes; keeps no more than a piece of a blob in memory.
    fn digest(&self) -> BlobDigest {
        let mut hasher = Hasher::new();
        for piece in self.as_slice().chunks(PIECE) {
            hasher.update(piece);
            self.release(hasher.n_bytes() as usize);
        }
        hasher.finish()
    }

    /// Releases the memory of the first `n_bytes` bytes.
    pub(crate) fn release(&self, n_bytes: usize) {
        if let Self::Blob(blob) = self {
            blob.release(n_bytes);
        }
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        match self {
            Self::Message(message) => message,
            Self::Blob(blob) => blob,
        }
    }
}
