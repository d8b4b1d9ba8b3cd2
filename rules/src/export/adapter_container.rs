//! The action that writes an adapter's GGUF file: it writes the head and joins the blobs of the tensors.

use mc_digest::digest::BlobDigest;
use mc_gguf::layout::{ALIGNMENT, Layout, TensorPlan};
use mc_gguf::value::Value;
use mc_ir::action::{Action, ActionContext, ActionError, ActionKind, write_bytes};
use mc_ir::output::{Output, Outputs};
use mc_ir::parameters::Parameters;

/// The output that holds the adapter.
pub(crate) const ADAPTER_FILE: &str = "adapter.gguf";

/// Writes the head of a file with these keys and tensors.
pub(crate) struct AdapterContainer {
    /// The keys.
    pub(crate) keys: Vec<(String, Value)>,
    /// The tensors, in the order of the inputs.
    pub(crate) plans: Vec<TensorPlan>,
}

impl Action for AdapterContainer {
    fn kind(&self) -> ActionKind {
        ActionKind { name: "adapter-gguf", version: 1 }
    }

    fn parameters(&self) -> Vec<(String, String)> {
        // Only the head is written; the rest of the output consists of the inputs.
        let layout = Layout::new(&self.keys, &self.plans, ALIGNMENT);
        Parameters::new().text("head", BlobDigest::of(&layout.head)).into_pairs()
    }

    fn outputs(&self) -> Vec<String> {
        vec![ADAPTER_FILE.to_owned()]
    }

    fn describe(&self) -> String {
        "adapter".to_owned()
    }

    fn run(&self, ctx: &dyn ActionContext) -> Result<Outputs, ActionError> {
        let layout = Layout::new(&self.keys, &self.plans, ALIGNMENT);
        let mut parts = vec![write_bytes(ctx, &layout.head)?];
        for (index, stretch) in layout.tensors.iter().enumerate() {
            let digest = ctx.input_digest(index);
            if digest.n_bytes() != stretch.n_bytes {
                return Err(ActionError::failed(format!(
                    "Tensor `{}` has {} bytes; its place has {}",
                    self.plans[index].name,
                    digest.n_bytes(),
                    stretch.n_bytes
                )));
            }
            parts.extend(digest.parts());
            if stretch.padding > 0 {
                parts.push(write_bytes(ctx, &vec![0; stretch.padding as usize])?);
            }
        }
        Ok(Outputs::from([(ADAPTER_FILE.to_owned(), Output::Composite(parts))]))
    }
}
