//! Compares the tensors that a checkpoint stores with those that its family needs.

use std::collections::BTreeMap;

use mc_decoder::needed::Needed;
use mc_expression::expression::TensorExpr;
use mc_expression::operators::load::Load;
use mc_family::config::quantization::StoredScales;
use mc_family::family::Family;
use mc_family::names::Found;
use mc_ir::action::Input;
use mc_ir::attribute::Place;
use mc_ir::rule_error::RuleError;
use mc_tensor::dtype::DType;
use mc_tensor::model_tensor::ModelTensor;

use crate::attributes::counted;
use crate::source::model_info::Weight;
use crate::source::scaled_weights::scaled;
use crate::source::weights::StoredTensor;

/// Maximum number of names that a message lists.
const MAX_LISTED: usize = 4;

/// The two sides of the comparison.
pub(crate) struct Matching<'a> {
    /// Location of the checkpoint's declaration.
    pub(crate) place: Place,
    /// Its folder, for messages.
    pub(crate) folder: &'a str,
    /// The family, which defines the names.
    pub(crate) family: &'static dyn Family,
    /// True if the token embedding is also the head.
    pub(crate) is_tied: bool,
    /// Scales of 8-bit floats, if there are any.
    pub(crate) scales: Option<StoredScales>,
}

impl Matching<'_> {
    /// Returns the needed weights in the order of the checkpoint.
    ///
    /// # Errors
    /// An error for missing tensors, for unknown tensors, and for each tensor of a wrong shape or type.
    pub(crate) fn weights(
        &self,
        stored: &[StoredTensor],
        needed: &[Needed],
    ) -> Result<Vec<Weight>, Vec<RuleError>> {
        let by_place: BTreeMap<Found, &Needed> = needed
            .iter()
            .map(|needed| (Found { tensor: needed.tensor, part: needed.part }, needed))
            .collect();
        let by_name: BTreeMap<&str, &StoredTensor> =
            stored.iter().map(|tensor| (tensor.name.as_str(), tensor)).collect();
        let mut rule_errors = Vec::new();
        let mut weights: Vec<Weight> = Vec::new();
        let mut found = BTreeMap::new();
        let mut unknown = Vec::new();
        for tensor in stored {
            if self.is_ignored(&by_name, &tensor.name) {
                continue;
            }
            let place = self.family.find(&tensor.name);
            let Some((place, needed)) = place.and_then(|place| Some((place, *by_place.get(&place)?))) else {
                unknown.push(tensor.name.as_str());
                continue;
            };
            if let Some(other) = found.insert(place, tensor.name.as_str()) {
                let message = format!("`{}` and `{other}` are the same tensor", tensor.name);
                rule_errors.push(self.rule_error(tensor, message));
                continue;
            }
            match self.weight(tensor, &by_name, needed) {
                Ok(weight) => weights.push(weight),
                Err(rule_error) => rule_errors.push(rule_error),
            }
        }
        let model = format!("a {} model of this configuration", self.family.name());
        let unplaced = unplaced(self.place, self.folder, &model, &unknown);
        rule_errors
            .extend(unplaced.map(|rule_error| {
                rule_error.help("The weights and `config.json` must be of the same model")
            }));
        let missing: Vec<String> = needed
            .iter()
            .filter(|needed| !found.contains_key(&Found { tensor: needed.tensor, part: needed.part }))
            .map(|needed| {
                let name = self.family.checkpoint_name(needed.tensor, needed.part);
                name.unwrap_or_else(|| needed.tensor.to_string())
            })
            .collect();
        let lacking = lacking(self.place, self.folder, "the configuration", &missing);
        rule_errors.extend(lacking.map(|rule_error| {
            rule_error.help("Fetch all shards, and check `num_hidden_layers` and `tie_word_embeddings`")
        }));
        if rule_errors.is_empty() { Ok(weights) } else { Err(rule_errors) }
    }

    fn rule_error(&self, tensor: &StoredTensor, message: String) -> RuleError {
        RuleError::new(self.place, "checkpoint::tensors", message).file(tensor.file.clone())
    }

    /// Returns true if a tensor is not needed by itself.
    fn is_ignored(&self, stored: &BTreeMap<&str, &StoredTensor>, name: &str) -> bool {
        // Some tools store the head of a tied model anyway.
        let is_tied_head = self.is_tied && self.family.tensor(name) == Some(ModelTensor::Output);
        let is_scale = self.scales.is_some_and(|scales| {
            scales.ignores(name)
                || name.strip_suffix(scales.suffix).is_some_and(|weight| {
                    stored.get(weight).is_some_and(|weight| weight.dtype.is_scaled_weight())
                })
        });
        is_tied_head || is_scale || self.family.ignored(name)
    }

    fn weight(
        &self,
        tensor: &StoredTensor,
        stored: &BTreeMap<&str, &StoredTensor>,
        needed: &Needed,
    ) -> Result<Weight, RuleError> {
        if tensor.shape != needed.shape {
            return Err(self.rule_error(
                tensor,
                format!(
                    "Tensor `{}` has shape {:?}; the configuration says {:?}",
                    tensor.name, tensor.shape, needed.shape
                ),
            ));
        }
        let (dtype, (expression, inputs)) = if tensor.dtype.is_weight() {
            let shape = tensor.shape.clone();
            let load = TensorExpr::new(Load { input: 0, dtype: tensor.dtype, shape });
            (tensor.dtype, (load, vec![Input::Source(tensor.source.clone())]))
        } else {
            (DType::F32, self.scaled(tensor, stored)?)
        };
        let Needed { tensor: purpose, part, .. } = *needed;
        Ok(Weight { tensor: purpose, part, name: tensor.name.clone(), dtype, expression, inputs })
    }

    fn scaled(
        &self,
        tensor: &StoredTensor,
        stored: &BTreeMap<&str, &StoredTensor>,
    ) -> Result<(TensorExpr, Vec<Input>), RuleError> {
        let Some(scales) = self.scales.filter(|_| tensor.dtype.is_scaled_weight()) else {
            let message =
                format!("Tensor `{}` has type {}; expected F32, F16 or BF16", tensor.name, tensor.dtype);
            return Err(self.rule_error(tensor, message).help(
                "Save the model in 16 bits, unquantized; weights of 8-bit floats need their `quantization_config` in \
                 `config.json`",
            ));
        };
        let name = format!("{}{}", tensor.name, scales.suffix);
        let Some(scale) = stored.get(name.as_str()) else {
            let message = format!(
                "Tensor `{}` has type {}, but its scales `{name}` are missing",
                tensor.name, tensor.dtype
            );
            return Err(self.rule_error(tensor, message).help("Fetch all shards of the checkpoint"));
        };
        scaled(tensor, scale, scales).map_err(|message| self.rule_error(scale, message))
    }
}

/// Reports tensors that a model does not have; `None` if there are none.
pub(crate) fn unplaced(place: Place, file: &str, model: &str, names: &[&str]) -> Option<RuleError> {
    (!names.is_empty()).then(|| {
        let count = counted(names.len(), "tensor is", "tensors are");
        let message = format!("{count} in `{file}`, but not part of {model}: {}", listed(names));
        RuleError::new(place, "checkpoint::tensors", message)
    })
}

/// Reports missing tensors; `None` if none is missing.
///
/// * `who`: a clause that names the reason, as in "its keys"
pub(crate) fn lacking(place: Place, file: &str, who: &str, names: &[String]) -> Option<RuleError> {
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    (!names.is_empty()).then(|| {
        let count = counted(names.len(), "tensor is", "tensors are");
        let message = format!("{count} missing from `{file}`, but required by {who}: {}", listed(&names));
        RuleError::new(place, "checkpoint::tensors", message)
    })
}

/// Formats names for a message: the first few, and the number of the rest.
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
