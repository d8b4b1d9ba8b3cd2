//! The files of a model, for code that runs it outside of an action.

use std::io;

use mc_digest::digest::BlobDigest;
use mc_ir::action::{ActionContext, ActionError, Artifact, Content, Input, Source};
use mc_ir::output::Output;

/// Reads a source file, or the part of it that the source denotes.
pub type ReadSource<'a> = &'a (dyn Fn(&Source) -> Result<Content, ActionError> + Sync);

/// Inputs that are files of the workspace, with a function that reads them, or outputs that were built.
pub(crate) struct SourceInputs<'a> {
    /// The files.
    pub(crate) inputs: &'a [Input],
    /// The outputs, with their bytes.
    pub(crate) built: &'a [(Artifact, Content)],
    /// Reads one file.
    pub(crate) read: ReadSource<'a>,
}

impl ActionContext for SourceInputs<'_> {
    fn input(&self, index: usize) -> Result<Content, ActionError> {
        match &self.inputs[index] {
            Input::Source(source) => (self.read)(source),
            Input::Artifact(artifact) => {
                let built = self.built.iter().find(|(known, _)| known == artifact);
                built.map(|(_, content)| content.clone()).ok_or_else(|| {
                    let output = &artifact.output;
                    ActionError::failed(format!("The model needs `{output}`, which has to be built first"))
                })
            }
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
