//! Reads the bytes of outputs from the store.

use std::sync::Arc;

use mc_digest::digest::BlobDigest;
use mc_ir::action::{ActionError, Content, Piece};
use mc_ir::output::Output;
use mc_store::mapping::MappedFile;
use mc_store::traits::BlobStore;

use crate::lookup::store_failed;

/// Returns the bytes of an output, mapped.
///
/// # Errors
/// If a blob is missing or damaged, or the store cannot be read.
pub fn output_content(store: &dyn BlobStore, output: &Output) -> Result<Content, ActionError> {
    let open = |part| store.open(part).map_err(store_failed)?.ok_or_else(|| gone(part));
    Ok(content_of(output.parts().iter().map(open).collect::<Result<_, _>>()?))
}

/// The error for a missing blob.
pub(crate) fn gone(blob: &BlobDigest) -> ActionError {
    ActionError::failed(format!("Blob `{blob}` is missing from the store or damaged"))
        .with_help("Build again to remake it")
}

/// The content of an output, as the bytes of its blobs.
pub(crate) fn content_of(blobs: Vec<MappedFile>) -> Content {
    Content::of_parts(blobs.into_iter().map(|blob| Piece::whole(Arc::new(blob))).collect())
}
