//! Runs actions on inputs in memory.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::{Arc, Mutex};

use mc_digest::digest::BlobDigest;
use mc_ir::action::{Action, ActionContext, ActionError, Content, Piece};
use mc_ir::output::Output;

struct Memory<'a> {
    inputs: &'a [Vec<u8>],
    written: Mutex<BTreeMap<BlobDigest, Vec<u8>>>,
}

impl ActionContext for Memory<'_> {
    fn input(&self, index: usize) -> Result<Content, ActionError> {
        Ok(Content { parts: vec![Piece::whole(Arc::new(self.inputs[index].clone()))] })
    }

    fn input_digest(&self, index: usize) -> Output {
        Output::File(BlobDigest::of(&self.inputs[index]))
    }

    fn write_blob(
        &self,
        write: &mut dyn FnMut(&mut dyn Write) -> Result<(), ActionError>,
    ) -> Result<BlobDigest, ActionError> {
        let mut bytes = Vec::new();
        write(&mut bytes)?;
        let digest = BlobDigest::of(&bytes);
        self.written.lock().unwrap().insert(digest, bytes);
        Ok(digest)
    }

    fn is_cancelled(&self) -> bool {
        false
    }
}

/// Runs an action on `n_threads` threads and returns its outputs, those of several parts joined.
pub(crate) fn run(action: &dyn Action, inputs: &[Vec<u8>], n_threads: usize) -> BTreeMap<String, Vec<u8>> {
    let memory = Memory { inputs, written: Mutex::default() };
    let pool = rayon::ThreadPoolBuilder::new().num_threads(n_threads).build().unwrap();
    let outputs = pool.install(|| action.run(&memory)).unwrap();
    let written = memory.written.into_inner().unwrap();
    let bytes = |output: &Output| output.parts().iter().flat_map(|part| written[part].clone()).collect();
    outputs.iter().map(|(name, output)| (name.clone(), bytes(output))).collect()
}
