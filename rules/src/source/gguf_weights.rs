//! The tensors of a GGUF as weights of a family: with its names, in the layout of its checkpoints.
//!
//! The container's change to a weight is undone as an expression ([`undone`]), and a stack of experts is cut
//! into the parts that checkpoints store. [`crate::source::export_tensors`] does the reverse.

use std::collections::{BTreeMap, BTreeSet};

use mc_decoder::needed::Needed;
use mc_decoder::program::Decoder;
use mc_exporter::change::Change;
use mc_exporter::exporter::Exporter;
use mc_exporter::model_description::{ModelDescription, TensorDescription};
use mc_expression::expression::TensorExpr;
use mc_expression::operators::add_constant::AddConstant;
use mc_expression::operators::decode::Decode;
use mc_expression::operators::half_split_heads::HalfSplitHeads;
use mc_expression::operators::load::Load;
use mc_expression::operators::reshape::Reshape;
use mc_family::family::Family;
use mc_gguf::architecture::name_of;
use mc_gguf::exporter::GgufExporter;
use mc_gguf::names::{model_tensor, wire_name_in};
use mc_gguf::reader::TensorInfo;
use mc_ir::action::{Input, Range64, Source};
use mc_ir::attribute::Place;
use mc_ir::rule_error::RuleError;
use mc_tensor::dtype::DType;
use mc_tensor::model_tensor::ModelTensor;

use crate::source::checkpoint_tensors::{lacking, unplaced};
use crate::source::export_tensors::squeezed;
use crate::source::model_info::Weight;

/// A tensor of a file, with the source of its bytes.
pub(crate) struct StoredBlocks {
    /// Its name, type and dimensions.
    pub(crate) info: TensorInfo,
    /// Its bytes.
    pub(crate) source: Source,
}

/// The two sides of the comparison.
pub(crate) struct Matching<'a> {
    /// Location of the checkpoint's declaration.
    pub(crate) place: Place,
    /// Its file, for messages.
    pub(crate) file: &'a str,
    /// The family, which defines the names of the weights.
    pub(crate) family: &'static dyn Family,
    /// The program in the file's keys.
    pub(crate) decoder: &'a Decoder,
}

/// The weights of a file.
#[derive(Default)]
pub(crate) struct Found {
    /// The needed weights, in the order of the file.
    pub(crate) weights: Vec<Weight>,
    /// Rotary factors.
    pub(crate) factors: Vec<Weight>,
    /// True if a weight is stored in blocks.
    pub(crate) is_quantized: bool,
}

impl Matching<'_> {
    /// Returns the weights of the program.
    ///
    /// # Errors
    /// An error for missing tensors, for unknown tensors, and for each tensor of a wrong shape or type.
    pub(crate) fn weights(&self, stored: &[StoredBlocks]) -> Result<Found, Vec<RuleError>> {
        let mut needed: BTreeMap<ModelTensor, Vec<Needed>> = BTreeMap::new();
        for one in self.family.tensors(self.decoder) {
            needed.entry(one.tensor).or_default().push(one);
        }
        let (mut found, mut rule_errors, mut unknown) = (Found::default(), Vec::new(), Vec::new());
        let mut seen = BTreeSet::new();
        for tensor in stored {
            let name = tensor.info.name.as_str();
            let Some(purpose) = model_tensor(name) else {
                unknown.push(name);
                continue;
            };
            let is_factors = matches!(
                purpose,
                ModelTensor::RopeFreqs | ModelTensor::RopeFactorsLong | ModelTensor::RopeFactorsShort
            );
            if is_factors {
                let shape = tensor.info.dims.iter().rev().copied().collect();
                match self.weight(tensor, purpose, name.to_owned(), shape, tensor.source.clone()) {
                    Ok(factor) => found.factors.push(factor),
                    Err(rule_error) => rule_errors.push(rule_error),
                }
                continue;
            }
            let Some(parts) = needed.get(&purpose) else {
                unknown.push(name);
                continue;
            };
            seen.insert(purpose);
            match self.parts(tensor, parts) {
                Ok(weights) => {
                    found.is_quantized |= tensor.info.kind.block_len > 1;
                    found.weights.extend(weights);
                }
                Err(rule_error) => rule_errors.push(rule_error),
            }
        }
        let model = format!("a {} model of these keys", self.family.name());
        rule_errors.extend(unplaced(self.place, self.file, &model, &unknown));
        let missing: Vec<String> = needed
            .keys()
            .filter(|tensor| !seen.contains(tensor))
            .map(|tensor| wire_name_in(name_of(self.decoder), *tensor))
            .collect();
        let missing = lacking(self.place, self.file, "its keys", &missing);
        rule_errors.extend(missing.map(|rule_error| rule_error.help("Fetch it again")));
        if rule_errors.is_empty() { Ok(found) } else { Err(rule_errors) }
    }

    /// Returns the change that files make to a tensor, which is undone here.
    fn change(&self, tensor: ModelTensor) -> Option<Change> {
        let model = ModelDescription::new(self.decoder);
        GgufExporter.change(&model, &TensorDescription { tensor, stored: self.family.stored(tensor) })
    }

    /// Returns the weights in one tensor: several if it stacks experts.
    fn parts(&self, tensor: &StoredBlocks, parts: &[Needed]) -> Result<Vec<Weight>, RuleError> {
        let info = &tensor.info;
        let first = parts.first().ok_or_else(|| self.rule_error(format!("Nothing needs `{}`", info.name)))?;
        let shape: Vec<u64> = info.dims.iter().rev().copied().collect();
        let change = self.change(first.tensor);
        let of_part = match change {
            Some(Change::Squeeze) => squeezed(&first.shape),
            _ => first.shape.clone(),
        };
        let is_stack = first.part.is_some();
        let expected =
            if is_stack { [&[parts.len() as u64][..], &of_part].concat() } else { of_part.clone() };
        if shape != expected {
            return Err(self.rule_error(format!(
                "Tensor `{}` has dimensions {:?}; its keys say {:?}",
                info.name,
                info.dims,
                expected.iter().rev().collect::<Vec<_>>()
            )));
        }
        // Parts are stored one after another in whole rows, and rows in whole blocks.
        let n_bytes = (info.end - info.start) / parts.len() as u64;
        let weight = |(number, needed): (u64, &Needed)| {
            let start = info.start + number * n_bytes;
            let range = Range64 { start, end: start + n_bytes };
            let source = Source { path: tensor.source.path.clone(), range: Some(range) };
            let name = self.family.checkpoint_name(needed.tensor, needed.part);
            let name = name.unwrap_or_else(|| info.name.clone());
            let mut weight = self.weight(tensor, needed.tensor, name, of_part.clone(), source)?;
            weight.part = needed.part;
            if let Some(change) = change {
                weight.expression = undone(weight.expression, change, &needed.shape);
            }
            Ok(weight)
        };
        (0..).zip(parts).map(weight).collect()
    }

    fn weight(
        &self,
        tensor: &StoredBlocks,
        purpose: ModelTensor,
        name: String,
        shape: Vec<u64>,
        source: Source,
    ) -> Result<Weight, RuleError> {
        let kind = tensor.info.kind;
        let plain = match kind.name {
            "F32" => Some(DType::F32),
            "F16" => Some(DType::F16),
            "BF16" => Some(DType::BF16),
            _ => None,
        };
        let expression = match (plain, kind.codec()) {
            (Some(dtype), _) => TensorExpr::new(Load { input: 0, dtype, shape }),
            (None, Some(codec)) => TensorExpr::new(Decode { input: 0, codec, shape }),
            (None, None) => {
                return Err(self.rule_error(format!(
                    "Tensor `{}` has type {}, which no codec reads",
                    tensor.info.name, kind.name
                )));
            }
        };
        let dtype = plain.unwrap_or(DType::F32);
        Ok(Weight {
            tensor: purpose,
            part: None,
            name,
            dtype,
            expression,
            inputs: vec![Input::Source(source)],
        })
    }

    fn rule_error(&self, message: String) -> RuleError {
        RuleError::new(self.place, "checkpoint::tensors", message).file(self.file.to_owned())
    }
}

/// Undoes a container's change to an expression.
fn undone(of: TensorExpr, change: Change, shape: &[u64]) -> TensorExpr {
    match change {
        Change::Interleave { n_heads } => TensorExpr::new(HalfSplitHeads { n_heads: n_heads.into(), of }),
        Change::Add(value) => TensorExpr::new(AddConstant { value: -value, of }),
        Change::Squeeze => TensorExpr::new(Reshape { shape: shape.to_vec(), of }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::export_tensors::changed;

    #[test]
    fn undoing_and_redoing_a_change_keeps_the_bytes() {
        let codec = &mc_encoding::blocks::q8_0::CODEC;
        let stored = |shape: &[u64]| TensorExpr::new(Decode { input: 0, codec, shape: shape.to_vec() });
        for (change, shape, in_container) in [
            (Change::Interleave { n_heads: 2 }, &[8, 32][..], &[8, 32][..]),
            (Change::Add(1.0), &[32], &[32]),
            (Change::Squeeze, &[8, 1, 32], &[8, 32]),
        ] {
            let weight = undone(stored(in_container), change, shape);
            assert_eq!(weight.shape(), shape);
            assert_eq!(changed(weight, change), stored(in_container));
        }
    }

    #[test]
    fn a_change_that_was_not_undone_is_applied() {
        let weight = TensorExpr::new(Load { input: 0, dtype: DType::F32, shape: vec![8, 32] });
        let other_heads = undone(weight, Change::Interleave { n_heads: 4 }, &[8, 32]);
        let changed = changed(other_heads, Change::Interleave { n_heads: 2 });
        assert_eq!(changed.to_string(), "permute(2, half_split(4, load($0, F32, [8, 32])))");
    }
}
