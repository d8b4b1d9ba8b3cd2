//! Objects of the store, by hash.

use std::sync::Arc;

use mc_digest::digest::{BlobDigest, Digest};
use mc_ir::action::{Content, Piece};
use mc_store::traits::BlobStore;

use crate::report::Report;
use crate::wire::engine::{Engine, store_report};

/// The hash in `HASH` or `HASH/SIZE`.
pub(crate) fn hash(text: &str) -> Option<Digest> {
    match text.parse::<BlobDigest>() {
        Ok(blob) => Some(blob.hash),
        Err(_) => text.parse().ok(),
    }
}

/// The object's bytes, checked.
pub(crate) fn content(engine: &Engine, hash: &Digest) -> Result<Content, Report> {
    let missing = || {
        Report::failed(format!("The store has no object `{hash}`")).at(engine.store.root().display()).hint(
            "Hashes are those of `mc build --output json`; build again, or name the store with `--cache-dir`",
        )
    };
    let layout = engine.store.layout();
    let n_bytes = layout.folder().status_of(&layout.blob(hash)).map_err(|_| missing())?.n_bytes;
    let blob = engine.store.open(&BlobDigest::new(*hash, n_bytes)).map_err(|error| store_report(&error))?;
    let blob = blob.ok_or_else(|| {
        Report::failed(format!("The object `{hash}` was damaged"))
            .because("Its bytes do not match its hash; it was set aside")
            .hint("Build again: it is made anew")
    })?;
    Ok(Content { parts: vec![Piece::whole(Arc::new(blob))] })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_told_from_names() {
        let blob = BlobDigest::of(b"a");
        assert_eq!(hash(&blob.to_string()), Some(blob.hash));
        assert_eq!(hash(&blob.hash.to_string()), Some(blob.hash));
        assert_eq!(hash("model.gguf"), None);
    }
}
