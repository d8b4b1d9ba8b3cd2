//! What a running action sees: its inputs, and a way to write blobs.

use std::io::Write;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mc_digest::digest::BlobDigest;
use mc_ir::action::{ActionContext, ActionError, Content, Input, Piece};
use mc_ir::output::Output;
use mc_store::error::StoreError;
use mc_store::mapping::MappedFile;

use crate::fetch::{content_of, output_files};
use crate::lookup::store_failed;
use crate::services::{Services, source_file};

/// One run of one action.
pub(crate) struct RunContext<'a> {
    services: &'a Services<'a>,
    inputs: &'a [Input],
    digests: &'a [Output],
    /// Inputs that were read so far.
    mapped: Mutex<Vec<MappedFile>>,
}

impl<'a> RunContext<'a> {
    pub(crate) fn new(services: &'a Services<'a>, inputs: &'a [Input], digests: &'a [Output]) -> Self {
        Self { services, inputs, digests, mapped: Mutex::default() }
    }

    fn mapped(&self) -> MutexGuard<'_, Vec<MappedFile>> {
        self.mapped.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ActionContext for RunContext<'_> {
    fn input(&self, index: usize) -> Result<Content, ActionError> {
        match &self.inputs[index] {
            Input::Source(source) => {
                let (file, range) = source_file(source)?;
                self.mapped().push(file.clone());
                Ok(Content { parts: vec![Piece { bytes: Arc::new(file), range }] })
            }
            Input::Artifact(_) => {
                let blobs = output_files(self.services.store, &self.digests[index])?;
                self.mapped().extend_from_slice(&blobs);
                Ok(content_of(blobs))
            }
        }
    }

    fn input_digest(&self, index: usize) -> Output {
        self.digests[index].clone()
    }

    fn release_inputs(&self) {
        self.mapped().iter().for_each(|file| file.release(file.len()));
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
