//! The files of an unexported model, for code that runs it outside of an action.

use std::io;

use mc_digest::digest::BlobDigest;
use mc_ir::action::{ActionContext, ActionError, Content, Input, Source};
use mc_ir::output::Output;

/// Reads a source file, or the part of it that the source denotes.
pub type ReadSource<'a> = &'a (dyn Fn(&Source) -> Result<Content, ActionError> + Sync);

/// Inputs that are all files of the workspace, with a function that reads them.
pub(crate) struct SourceInputs<'a> {
    /// The files.
    pub(crate) inputs: &'a [Input],
    /// Reads one file.
    pub(crate) read: ReadSource<'a>,
}

impl ActionContext for SourceInputs<'_> {
    fn input(&self, index: usize) -> Result<Content, ActionError> {
        match &self.inputs[index] {
            Input::Source(source) => (self.read)(source),
            Input::Artifact(artifact) => Err(ActionError::failed(format!(
                "The model needs `{}`, which has to be built first",
                artifact.output
            ))),
        }
    }

    fn input_digest(&self, _: usize) -> Output {
        unreachable!("a model is opened by its bytes")
    }

    fn write_blob(
        &self,
        _: &mut dyn FnMut(&mut dyn io::Write) -> Result<(), ActionError>,
    ) -> Result<BlobDigest, ActionError> {
        unreachable!("opening a model writes nothing")
    }

    fn is_cancelled(&self) -> bool {
        false
    }
}
