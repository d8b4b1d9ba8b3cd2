//! What a running action sees: its inputs, and a way to write blobs.

use std::io::Write;
use std::sync::Arc;

use mc_digest::digest::BlobDigest;
use mc_ir::action::{ActionContext, ActionError, Content, Input};
use mc_ir::output::Output;
use mc_store::error::StoreError;

use crate::fetch::output_content;
use crate::lookup::store_failed;
use crate::services::Services;

/// One run of one action.
pub(crate) struct RunContext<'a> {
    pub(crate) services: &'a Services<'a>,
    pub(crate) inputs: &'a [Input],
    pub(crate) digests: &'a [Output],
}

impl ActionContext for RunContext<'_> {
    fn input(&self, index: usize) -> Result<Content, ActionError> {
        match &self.inputs[index] {
            Input::Source(source) => self.services.source_content(source),
            Input::Artifact(_) => output_content(self.services.store, &self.digests[index]),
        }
    }

    fn input_digest(&self, index: usize) -> Output {
        self.digests[index].clone()
    }

    fn write_blob(
        &self,
        write: &mut dyn FnMut(&mut dyn Write) -> Result<(), ActionError>,
    ) -> Result<BlobDigest, ActionError> {
        let mut writer = self.services.store.writer().map_err(store_failed)?;
        match write(&mut writer) {
            Ok(()) => writer.finish().map_err(store_failed),
            // The store hides its own error (a full disk, say) in the `io::Error` that `Write` allows.
            Err(ActionError::Io(error)) => Err(match StoreError::from_writer(error) {
                Ok(error) => store_failed(error),
                Err(error) => ActionError::Io(error),
            }),
            Err(error) => Err(error),
        }
    }

    fn is_cancelled(&self) -> bool {
        self.services.is_cancelled()
    }
}

/// Makes a mapped blob shareable.
pub(crate) fn share<T: AsRef<[u8]> + Send + Sync + 'static>(bytes: T) -> mc_ir::action::Bytes {
    Arc::new(bytes)
}
