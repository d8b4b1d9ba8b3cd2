//! Compares the tensors that a checkpoint stores with those that its family needs.

use mc_family::family::Family;
use mc_ir::action::Input;
use mc_ir::attribute::Place;
use mc_ir::expression::TensorExpr;
use mc_ir::fault::Fault;
use mc_tensor::model_tensor::ModelTensor;

use crate::attributes::counted;
use crate::model_info::Weight;
use crate::weights::StoredTensor;

/// How many names a message lists.
const MAX_LISTED: usize = 4;

/// What is compared.
pub(crate) struct Matching<'a> {
    /// Where the checkpoint is declared.
    pub(crate) place: Place,
    /// Its folder, for messages.
    pub(crate) folder: &'a str,
    /// Whose names they are.
    pub(crate) family: &'static dyn Family,
    /// Whether the token embedding is the head, too.
    pub(crate) is_tied: bool,
}

impl Matching<'_> {
    /// The weights that are needed, in the order of the checkpoint.
    ///
    /// # Errors
    /// A fault for what is missing, what has no place, and each tensor of a wrong shape or type.
    pub(crate) fn weights(
        &self,
        stored: &[StoredTensor],
        needed: &[(ModelTensor, Vec<u64>)],
    ) -> Result<Vec<Weight>, Vec<Fault>> {
        let mut faults = Vec::new();
        let mut weights = Vec::new();
        let mut unknown = Vec::new();
        for tensor in stored {
            match self.family.tensor(&tensor.name) {
                _ if self.family.ignored(&tensor.name) => {}
                // Some tools store the head of a tied model all the same.
                Some(ModelTensor::Output) if self.is_tied => {}
                Some(purpose) => match needed.iter().find(|(needed, _)| *needed == purpose) {
                    Some((_, shape)) => match self.weight(tensor, purpose, shape) {
                        Ok(weight) => weights.push(weight),
                        Err(fault) => faults.push(fault),
                    },
                    None => unknown.push(tensor.name.as_str()),
                },
                None => unknown.push(tensor.name.as_str()),
            }
        }
        if !unknown.is_empty() {
            let message = format!(
                "{} in `{}` without a place in a {} model of this configuration: {}",
                counted(unknown.len(), "tensor is", "tensors are"),
                self.folder,
                self.family.name(),
                listed(&unknown)
            );
            faults.push(
                Fault::new(self.place, "checkpoint::tensors", message)
                    .help("The weights and `config.json` must be of the same model"),
            );
        }
        let missing: Vec<String> = needed
            .iter()
            .filter(|(purpose, _)| {
                !stored.iter().any(|tensor| self.family.tensor(&tensor.name) == Some(*purpose))
            })
            .map(|(purpose, _)| self.family.checkpoint_name(*purpose).unwrap_or_else(|| purpose.to_string()))
            .collect();
        if !missing.is_empty() {
            let missing: Vec<&str> = missing.iter().map(String::as_str).collect();
            let message = format!(
                "{} not in `{}`, which the configuration asks for: {}",
                counted(missing.len(), "tensor is", "tensors are"),
                self.folder,
                listed(&missing)
            );
            faults.push(
                Fault::new(self.place, "checkpoint::tensors", message)
                    .help("Fetch all shards, and check `num_hidden_layers` and `tie_word_embeddings`"),
            );
        }
        if faults.is_empty() { Ok(weights) } else { Err(faults) }
    }

    fn weight(&self, tensor: &StoredTensor, purpose: ModelTensor, shape: &[u64]) -> Result<Weight, Fault> {
        let fault = |message: String| {
            Fault::new(self.place, "checkpoint::tensors", message).file(tensor.file.clone())
        };
        if tensor.shape != shape {
            return Err(fault(format!(
                "Tensor `{}` has shape {:?}; the configuration says {shape:?}",
                tensor.name, tensor.shape
            )));
        }
        if !tensor.dtype.is_weight() {
            return Err(fault(format!(
                "Tensor `{}` has type {}; expected F32, F16 or BF16",
                tensor.name, tensor.dtype
            ))
            .help("Save the model in 16 bits, unquantized"));
        }
        Ok(Weight {
            tensor: purpose,
            name: tensor.name.clone(),
            dtype: tensor.dtype,
            expression: TensorExpr::Load { input: 0, dtype: tensor.dtype, shape: tensor.shape.clone() },
            inputs: vec![Input::Source(tensor.source.clone())],
        })
    }
}

fn listed(names: &[&str]) -> String {
    let shown: Vec<String> = names.iter().take(MAX_LISTED).map(|name| format!("`{name}`")).collect();
    let more = names.len() - shown.len();
    if more == 0 { shown.join(", ") } else { format!("{} and {more} more", shown.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lists_are_cut() {
        assert_eq!(listed(&["a", "b"]), "`a`, `b`");
        assert_eq!(listed(&["a", "b", "c", "d", "e", "f"]), "`a`, `b`, `c`, `d` and 2 more");
    }
}
