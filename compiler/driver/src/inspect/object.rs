//! Objects of the store, by hash.

use std::sync::Arc;

use mc_digest::digest::{BlobDigest, Digest};
use mc_ir::action::{Content, Piece};
use mc_store::local::store::LocalStore;
use mc_store::traits::BlobStore;

use crate::inspect::error::InspectError;

/// Parses the hash in `HASH` or `HASH/SIZE`.
pub fn hash(text: &str) -> Option<Digest> {
    match text.parse::<BlobDigest>() {
        Ok(blob) => Some(blob.hash),
        Err(_) => text.parse().ok(),
    }
}

/// Returns the bytes of an object, verified.
///
/// # Errors
/// If the object does not exist or is damaged.
pub fn content(store: &LocalStore, hash: &Digest) -> Result<Content, InspectError> {
    let layout = store.layout();
    let missing = |_| InspectError::NoObject { hash: *hash, store: store.root().to_owned() };
    let n_bytes = layout.folder().status_of(&layout.blob(hash)).map_err(missing)?.n_bytes;
    let blob = store.open(&BlobDigest::new(*hash, n_bytes));
    let blob = blob.map_err(|error| InspectError::Store(Box::new(error)))?;
    let blob = blob.ok_or(InspectError::DamagedObject { hash: *hash })?;
    Ok(Content { parts: vec![Piece::whole(Arc::new(blob))] })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_distinguished_from_names() {
        let blob = BlobDigest::of(b"a");
        assert_eq!(hash(&blob.to_string()), Some(blob.hash));
        assert_eq!(hash(&blob.hash.to_string()), Some(blob.hash));
        assert_eq!(hash("model.gguf"), None);
    }
}
