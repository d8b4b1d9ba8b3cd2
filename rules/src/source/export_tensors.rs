//! The tensors of a file, made from a model's weights: converted to the layout of the format, with experts
//! stacked.
//!
//! Until here, weights keep the layout of the checkpoint, so adapters and merges change an expert like any
//! matrix.

use std::collections::BTreeMap;

use mc_exporter::change::Change;
use mc_exporter::exporter::Exporter;
use mc_exporter::model_description::{ModelDescription, TensorDescription};
use mc_expression::expression::TensorExpr;
use mc_expression::operators::add_constant::AddConstant;
use mc_expression::operators::half_split_heads::HalfSplitHeads;
use mc_expression::operators::permute_heads::PermuteHeads;
use mc_expression::operators::reshape::Reshape;
use mc_expression::operators::stack::Stack;
use mc_family::families;
use mc_family::family::Family;
use mc_ir::action::Input;
use mc_tensor::model_tensor::ModelTensor;
use mc_tensor::stored::Stored;

use crate::source::model_info::{ModelInfo, Weight};

/// A tensor of a file.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ExportTensor {
    /// Its purpose.
    pub(crate) tensor: ModelTensor,
    /// Its value as a function of `inputs`.
    pub(crate) expression: TensorExpr,
    /// The inputs of the expression.
    pub(crate) inputs: Vec<Input>,
}

/// Returns the family of a model.
pub(crate) fn family_of(model: &ModelInfo) -> Option<&'static dyn Family> {
    families::by_name(model.family)
}

/// Returns the description of a model that a format gets before the model is written.
pub(crate) fn described(model: &ModelInfo) -> ModelDescription<'_> {
    ModelDescription::new(&model.decoder)
}

/// Returns a format's change to one of a model's tensors.
pub(crate) fn change_of(exporter: &dyn Exporter, model: &ModelInfo, tensor: ModelTensor) -> Option<Change> {
    let stored = family_of(model).map(|family| family.stored(tensor)).unwrap_or_default();
    exporter.change(&described(model), &TensorDescription { tensor, stored })
}

/// Returns the tensors in the order of the checkpoint; a layer's stacked experts take the position of the
/// last expert.
pub(crate) fn export_tensors(exporter: &dyn Exporter, model: &ModelInfo) -> Vec<ExportTensor> {
    tensors(model, |tensor| change_of(exporter, model, tensor))
}

/// Returns the tensors in the layout of the runtime: norm weights whole, rotary pairs as in the checkpoint.
pub(crate) fn run_tensors(model: &ModelInfo) -> Vec<ExportTensor> {
    let family = family_of(model);
    let stored = |tensor| family.map(|family| family.stored(tensor)).unwrap_or_default();
    tensors(model, |tensor| (stored(tensor) == Stored::LessOne).then_some(Change::Add(1.0)))
}

fn tensors(model: &ModelInfo, change: impl Fn(ModelTensor) -> Option<Change>) -> Vec<ExportTensor> {
    let family = family_of(model);
    let mut n_parts: BTreeMap<Option<u32>, usize> = BTreeMap::new();
    for weight in model.weights.iter().filter(|weight| weight.part.is_some()) {
        *n_parts.entry(weight.tensor.block()).or_default() += 1;
    }
    let mut pending: BTreeMap<Option<u32>, Vec<&Weight>> = BTreeMap::new();
    let mut tensors = Vec::new();
    for weight in model.weights.iter() {
        let block = weight.tensor.block();
        if weight.part.is_none() {
            tensors.push(single(weight));
            continue;
        }
        let parts = pending.entry(block).or_default();
        parts.push(weight);
        if Some(&parts.len()) == n_parts.get(&block) {
            tensors.extend(stacks(family, parts));
        }
    }
    for tensor in &mut tensors {
        if let Some(change) = change(tensor.tensor) {
            tensor.expression = changed(tensor.expression.clone(), change);
        }
    }
    tensors
}

/// Returns the rotary factors that a container stores.
pub(crate) fn factor_tensors(model: &ModelInfo) -> Vec<ExportTensor> {
    model.factors.iter().map(single).collect()
}

fn single(weight: &Weight) -> ExportTensor {
    ExportTensor {
        tensor: weight.tensor,
        expression: weight.expression.clone(),
        inputs: weight.inputs.clone(),
    }
}

/// Returns the stacks of one layer's experts, in the family's order.
fn stacks(family: Option<&'static dyn Family>, parts: &[&Weight]) -> Vec<ExportTensor> {
    let order: Vec<ModelTensor> = family
        .zip(parts.first().and_then(|part| part.tensor.block()))
        .map(|(family, block)| family.names().expert.iter().map(|(_, _, tensor)| tensor(block)).collect())
        .unwrap_or_default();
    let mut by_tensor: BTreeMap<(usize, ModelTensor), Vec<&Weight>> = BTreeMap::new();
    for part in parts {
        let place = order.iter().position(|tensor| *tensor == part.tensor).unwrap_or(order.len());
        by_tensor.entry((place, part.tensor)).or_default().push(part);
    }
    by_tensor.into_iter().map(|((_, tensor), parts)| stack(tensor, parts)).collect()
}

fn stack(tensor: ModelTensor, mut parts: Vec<&Weight>) -> ExportTensor {
    parts.sort_by_key(|weight| weight.part);
    let (mut of, mut inputs) = (Vec::new(), Vec::new());
    for part in parts {
        let first = inputs.len();
        of.push(part.expression.map_inputs(&|input| first + input));
        inputs.extend(part.inputs.iter().cloned());
    }
    ExportTensor { tensor, expression: TensorExpr::new(Stack { of }), inputs }
}

/// Applies a change to an expression. If its top undoes the same change, because the weight was read from a
/// container, the two cancel.
pub(crate) fn changed(expression: TensorExpr, change: Change) -> TensorExpr {
    before(&expression, change).cloned().unwrap_or_else(|| made(expression, change))
}

/// Returns the operand of the top of the expression if the top undoes the change.
fn before(expression: &TensorExpr, change: Change) -> Option<&TensorExpr> {
    match change {
        Change::Interleave { n_heads } => expression
            .get::<HalfSplitHeads>()
            .filter(|undone| undone.n_heads == u64::from(n_heads))
            .map(|undone| &undone.of),
        Change::Add(value) => {
            expression.get::<AddConstant>().filter(|undone| undone.value == -value).map(|undone| &undone.of)
        }
        Change::Squeeze => expression.get::<Reshape>().map(|undone| &undone.of),
    }
}

fn made(of: TensorExpr, change: Change) -> TensorExpr {
    match change {
        Change::Interleave { n_heads } => TensorExpr::new(PermuteHeads { n_heads: n_heads.into(), of }),
        Change::Add(value) => TensorExpr::new(AddConstant { value, of }),
        Change::Squeeze => TensorExpr::new(Reshape { shape: squeezed(&of.shape()), of }),
    }
}

/// Returns a shape of three dimensions without the middle one.
pub(crate) fn squeezed(shape: &[u64]) -> Vec<u64> {
    match shape {
        [first, 1, rest @ ..] => [&[*first], rest].concat(),
        shape => shape.to_vec(),
    }
}
