//! `merge`: a checkpoint with low-rank adapters added to its weights.
//!
//! It makes nothing by itself: each weight becomes an expression, which the steps that read it evaluate while they
//! stream, so a merged model is never written. After each adapter a weight is rounded to the type of the base, as
//! PEFT's `merge_and_unload` does.

use mc_family::adapter::match_adapter;
use mc_family::families::FAMILIES;
use mc_ir::action::Input;
use mc_ir::attribute::{Placed, Record};
use mc_ir::expression::TensorExpr;
use mc_ir::fault::Fault;
use mc_ir::label::Label;
use mc_ir::provider::Providers;
use mc_ir::rule::{Rule, RuleContext};
use mc_ir::schema::{Arguments, ChildSchema, NodeSchema, Occurs, Presence, PropertySchema, ValueKind};

use crate::adapter::AdapterInfo;
use crate::attributes::{label, number_property, provider};
use crate::model_info::{Lineage, ModelInfo, Weight};
use crate::weights::StoredTensor;

/// The rule's name.
pub const NAME: &str = "merge";

/// The `merge` rule.
pub struct Merge;

static BASE: NodeSchema = NodeSchema {
    name: "base",
    doc: "The checkpoint, or another merge.",
    arguments: Arguments::One(ValueKind::Label),
    properties: &[],
    children: &[],
};

/// An adapter and how strongly it is added; for this rule and for `model`.
pub(crate) static ADAPTER: NodeSchema = NodeSchema {
    name: "adapter",
    doc: "An adapter to add; several are added in the order in which they are written.",
    arguments: Arguments::One(ValueKind::Label),
    properties: &[PropertySchema {
        name: "scale",
        value: ValueKind::Number,
        presence: Presence::Default("1.0"),
        doc: "Factor on the adapter's own scale.",
    }],
    children: &[],
};

static SCHEMA: NodeSchema = NodeSchema {
    name: NAME,
    doc: "A checkpoint with adapters added to its weights.",
    arguments: Arguments::None,
    properties: &[],
    children: &[
        ChildSchema { node: &BASE, occurs: Occurs::Once },
        ChildSchema { node: &ADAPTER, occurs: Occurs::Any },
    ],
};

impl Rule for Merge {
    fn schema(&self) -> &'static NodeSchema {
        &SCHEMA
    }

    fn analyze(&self, ctx: &dyn RuleContext) -> Result<Providers, Vec<Fault>> {
        let record = ctx.record();
        let base = label(record, "base").ok_or_else(Vec::new)?;
        let mut faults = Vec::new();
        let mut info: Option<ModelInfo> =
            provider(ctx, &base, "a `checkpoint` or a `merge`").map_err(|found| faults.extend(found)).ok();
        if record.children("adapter").is_empty() {
            faults.push(
                Fault::new(record.place, "merge::empty", "The merge adds no adapter")
                    .help("Add `adapter \":name\"`, or use the checkpoint itself"),
            );
        }
        for (index, child) in record.children("adapter").iter().enumerate() {
            if let Err(found) = add(ctx, info.as_mut(), &base.value, child, index) {
                faults.extend(found);
            }
        }
        match info {
            Some(info) if faults.is_empty() => Ok(Providers::default().with(info)),
            _ => Err(faults),
        }
    }
}

fn add(
    ctx: &dyn RuleContext,
    info: Option<&mut ModelInfo>,
    base: &Label,
    child: &Record,
    index: usize,
) -> Result<(), Vec<Fault>> {
    let Some(placed) = child.argument() else { return Err(Vec::new()) };
    let Some(named) = placed.value.as_label() else { return Err(Vec::new()) };
    let named = Placed { value: named.clone(), place: placed.place };
    let adapter: AdapterInfo = provider(ctx, &named, "an `adapter`")?;
    let Some(info) = info else { return Err(Vec::new()) };
    // A merge of a merge keeps the checkpoint at its bottom as what adapters are for.
    let checkpoint = info.lineage.first().map(|lineage| &lineage.label);
    if adapter.base != *base && Some(&adapter.base) != checkpoint {
        return Err(vec![
            Fault::new(
                named.place,
                "merge::base",
                format!("`{}` was trained on `{}`; it is added to `{base}`", named.value, adapter.base),
            )
            .help("Name the checkpoint that the adapter declares as its `base`"),
        ]);
    }
    let family = FAMILIES.iter().copied().find(|family| family.name() == info.decoder.architecture);
    let family = family.ok_or_else(Vec::new)?;
    let shapes = |tensors: &[StoredTensor]| -> Vec<(String, Vec<u64>)> {
        tensors.iter().map(|tensor| (tensor.name.clone(), tensor.shape.clone())).collect()
    };
    let base_shapes: Vec<(String, Vec<u64>)> =
        info.weights.iter().map(|weight| (weight.name.clone(), weight.shape())).collect();
    let pairs = match_adapter(family, &adapter.config, &shapes(&adapter.tensors), &base_shapes)
        .map_err(|error| vec![Fault::new(named.place, "merge::adapter", error.to_string())])?;
    let scale = number_property(child, "scale").unwrap_or(1.0);
    let mut weights = info.weights.to_vec();
    for pair in pairs {
        let factor = |name: &str| adapter.tensors.iter().find(|tensor| tensor.name == name);
        let (Some(up), Some(down)) = (factor(&pair.up), factor(&pair.down)) else { return Err(Vec::new()) };
        for factor in [up, down] {
            if !factor.dtype.is_weight() {
                let message =
                    format!("Tensor `{}` has type {}; expected F32, F16 or BF16", factor.name, factor.dtype);
                return Err(vec![
                    Fault::new(named.place, "merge::adapter", message).file(factor.file.clone()),
                ]);
            }
        }
        if let Some(weight) = weights.iter_mut().find(|weight| weight.tensor == pair.tensor) {
            *weight = updated(weight, up, down, (pair.scale * scale) as f32);
        }
    }
    info.weights = weights.into();
    let lineage = Lineage {
        role: format!("adapter.{index}"),
        label: named.value,
        tensors: adapter.tensors.into_iter().map(|tensor| (tensor.name, tensor.source)).collect(),
    };
    info.lineage = info.lineage.iter().cloned().chain([lineage]).collect();
    for (source, name) in adapter.licences {
        // A text that the base brings under the same name gets the adapter's beside it.
        let is_taken = info.files.licences.iter().any(|(_, taken)| *taken == name);
        let name = if is_taken { format!("{name}.adapter") } else { name };
        if !info.files.licences.iter().any(|(_, taken)| *taken == name) {
            info.files.licences.push((source, name));
        }
    }
    Ok(())
}

/// The weight with `scale * up * down` added, rounded to its own type.
fn updated(weight: &Weight, up: &StoredTensor, down: &StoredTensor, scale: f32) -> Weight {
    let mut inputs = weight.inputs.clone();
    let mut load = |tensor: &StoredTensor| {
        inputs.push(Input::Source(tensor.source.clone()));
        let input = inputs.len() - 1;
        Box::new(TensorExpr::Load { input, dtype: tensor.dtype, shape: tensor.shape.clone() })
    };
    let (up, down) = (load(up), load(down));
    let sum = TensorExpr::AddLowRank { of: Box::new(weight.expression.clone()), up, down, scale };
    let expression = TensorExpr::Cast { dtype: weight.dtype, of: Box::new(sum) };
    Weight { expression, inputs, ..weight.clone() }
}
