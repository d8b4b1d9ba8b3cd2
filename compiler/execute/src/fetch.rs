//! The bytes of an output, from the store.

use mc_ir::action::{ActionError, Content, Piece};
use mc_ir::output::Output;
use mc_store::traits::BlobStore;

use crate::context::share;
use crate::lookup::store_failed;

/// Maps every blob of an output.
///
/// # Errors
/// When a blob is gone or damaged, or the store cannot be read.
pub fn output_content(store: &dyn BlobStore, output: &Output) -> Result<Content, ActionError> {
    let mut parts = Vec::with_capacity(output.parts().len());
    for digest in output.parts() {
        let blob = store.open(digest).map_err(store_failed)?.ok_or_else(|| {
            ActionError::failed(format!("Blob `{digest}` is gone from the store or damaged"))
                .with_help("Build again: it is made anew")
        })?;
        parts.push(Piece::whole(share(blob)));
    }
    Ok(Content::of_parts(parts))
}
