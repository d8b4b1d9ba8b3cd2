//! The bytes of an output, from the store.

use std::sync::Arc;

use mc_ir::action::{ActionError, Content, Piece};
use mc_ir::output::Output;
use mc_store::mapping::MappedFile;
use mc_store::traits::BlobStore;

use crate::lookup::store_failed;

/// The bytes of an output, mapped.
///
/// # Errors
/// When a blob is gone or damaged, or the store cannot be read.
pub fn output_content(store: &dyn BlobStore, output: &Output) -> Result<Content, ActionError> {
    Ok(content_of(output_files(store, output)?))
}

/// Maps every blob of an output.
pub(crate) fn output_files(store: &dyn BlobStore, output: &Output) -> Result<Vec<MappedFile>, ActionError> {
    let open = |digest| {
        store.open(digest).map_err(store_failed)?.ok_or_else(|| {
            ActionError::failed(format!("Blob `{digest}` is gone from the store or damaged"))
                .with_help("Build again: it is made anew")
        })
    };
    output.parts().iter().map(open).collect()
}

/// Blobs of an output as its bytes.
pub(crate) fn content_of(blobs: Vec<MappedFile>) -> Content {
    Content::of_parts(blobs.into_iter().map(|blob| Piece::whole(Arc::new(blob))).collect())
}
