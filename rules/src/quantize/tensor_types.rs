//! The type of every tensor of a GGUF: the recipe's choice, and the overrides in the declaration.
//!
//! All types are resolved here, together and before any action has a key, so keys contain types, never
//! patterns.

use std::collections::{BTreeMap, BTreeSet};

use mc_encoding::codec::{Codec, Importance};
use mc_gguf::architecture::name_of;
use mc_gguf::names::wire_name_in;
use mc_gguf::recipes::overrides::Overrides;
use mc_gguf::recipes::recipe::{Choice, Recipe};
use mc_gguf::recipes::tensor_position::ModelShape;
use mc_ir::attribute::Place;
use mc_ir::rule::RuleContext;
use mc_ir::rule_error::RuleError;
use mc_tensor::model_tensor::ModelTensor;

use crate::attributes::{counted, place_of};
use crate::calibrate::imatrix::ImatrixInfo;
use crate::quantize::near_names::{kind, near_names_of};
use crate::quantize::type_rules::{PURE, Selects, TypeRule, type_rules};
use crate::source::export_tensors::ExportTensor;
use crate::source::model_info::ModelInfo;

/// Attribute that names the recipe.
const QUANTIZE: &str = "quantize";

/// Returns the type of each of a file's tensors, in their order.
///
/// # Errors
/// Reports every pattern that is wrong or matches nothing, every tensor with two types, and every use of a
/// type that needs an imatrix.
pub(crate) fn tensor_types(
    ctx: &dyn RuleContext,
    model: &ModelInfo,
    tensors: &[ExportTensor],
    recipe: &'static Recipe,
    imatrix: Option<&ImatrixInfo>,
) -> Result<Vec<Choice>, Vec<RuleError>> {
    let has_output = tensors.iter().any(|tensor| tensor.tensor == ModelTensor::Output);
    let head = if has_output { ModelTensor::Output } else { ModelTensor::TokenEmbedding };
    let (rules, mut rule_errors) = type_rules(ctx, head);
    let tensors: Vec<(ModelTensor, Vec<u64>)> =
        tensors.iter().map(|tensor| (tensor.tensor, tensor.expression.shape())).collect();
    let architecture = name_of(&model.decoder);
    let names: Vec<(ModelTensor, String)> =
        tensors.iter().map(|(tensor, _)| (*tensor, wire_name_in(architecture, *tensor))).collect();
    let applied = apply(&rules, &names, &mut rule_errors);
    if !rule_errors.is_empty() {
        return Err(rule_errors);
    }
    let pure = ctx.record().value(PURE.name).and_then(|pure| pure.value.as_bool());
    let overrides = Overrides {
        by_tensor: applied.iter().map(|(tensor, rule)| (*tensor, rule.codec)).collect(),
        is_pure: pure.unwrap_or(false),
    };
    let shape = shape(model);
    let choices = recipe.resolve(shape, &tensors, &overrides, imatrix.is_some());
    let quantize = place_of(ctx.record(), QUANTIZE);
    if imatrix.is_none() {
        let needed: BTreeSet<ModelTensor> =
            recipe.needs_imatrix(shape, &tensors, &overrides).into_iter().collect();
        let needed = names.iter().zip(&choices).filter(|((tensor, _), _)| needed.contains(tensor));
        rule_errors.extend(without_imatrix(needed, &applied, recipe, quantize));
    }
    let unmeasured = names.iter().zip(&choices).filter(|((tensor, _), choice)| {
        choice.codec.importance == Importance::Required && tensor.block().is_none()
    });
    rule_errors.extend(unmeasured.map(|((tensor, name), choice)| {
        let place = applied.get(tensor).map_or(quantize, |rule| rule.codec_place);
        never_measured(name, choice.codec, place)
    }));
    if rule_errors.is_empty() { Ok(choices) } else { Err(rule_errors) }
}

/// Returns the properties of a model that recipes use.
fn shape(model: &ModelInfo) -> ModelShape {
    let first = model.decoder.blocks.first();
    let n_heads = model.decoder.attentions().next().map_or(0, |attention| attention.n_heads);
    let n_kv_heads = first.and_then(|block| block.attention()).map_or(0, |attention| attention.n_kv_heads);
    let experts = first.and_then(|block| block.experts());
    ModelShape {
        n_blocks: model.decoder.blocks.len(),
        n_heads,
        n_kv_heads,
        n_experts: experts.map_or(0, |experts| experts.n_experts),
    }
}

/// Returns the rule for each tensor that has one; the first rule if there are several.
fn apply<'a>(
    rules: &'a [TypeRule],
    names: &[(ModelTensor, String)],
    rule_errors: &mut Vec<RuleError>,
) -> BTreeMap<ModelTensor, &'a TypeRule> {
    let mut applied: BTreeMap<ModelTensor, &TypeRule> = BTreeMap::new();
    for rule in rules {
        let selected: Vec<&(ModelTensor, String)> =
            names.iter().filter(|(tensor, name)| rule.selects.is_about(*tensor, name)).collect();
        let quantized: Vec<&(ModelTensor, String)> =
            selected.iter().copied().filter(|(tensor, _)| tensor.is_quantizable()).collect();
        if quantized.is_empty() {
            rule_errors.push(no_match(rule, selected.first().map(|(_, name)| name.as_str()), names));
        }
        let other = |(tensor, name): &(ModelTensor, String)| {
            let other: &TypeRule = applied.get(tensor).copied()?;
            (other.codec != rule.codec).then(|| two_types(name, other, rule))
        };
        // One tensor is enough to show that two rules conflict.
        rule_errors.extend(quantized.iter().find_map(|named| other(named)));
        for (tensor, _) in quantized {
            applied.entry(*tensor).or_insert(rule);
        }
    }
    applied
}

impl Selects {
    fn is_about(&self, tensor: ModelTensor, name: &str) -> bool {
        match self {
            Self::Matching { regex, .. } => regex.is_match(name),
            Self::One(one) => *one == tensor,
        }
    }
}

fn no_match(rule: &TypeRule, unquantized: Option<&str>, names: &[(ModelTensor, String)]) -> RuleError {
    let Selects::Matching { pattern, .. } = &rule.selects else {
        return rule.rule_error(
            rule.place,
            "gguf::no-match",
            format!("The model has no tensor for `{}`", rule.shown),
        );
    };
    let at = rule.file.as_ref().map_or(String::new(), |_| format!("`{}`: ", rule.shown));
    if let Some(name) = unquantized {
        let message =
            format!("{at}`{pattern}` matches only tensors that are never quantized, such as `{name}`");
        return rule
            .rule_error(rule.place, "gguf::no-match", message)
            .help("Norms and biases stay as they are; name a matrix, such as `ffn_down`");
    }
    let quantized = names.iter().filter(|(tensor, _)| tensor.is_quantizable());
    let quantized: Vec<&str> = quantized.map(|(_, name)| name.as_str()).collect();
    let near = near_names_of(pattern, quantized.iter().copied());
    let help = if near.is_empty() {
        let mut kinds: Vec<&str> = quantized.iter().map(|name| kind(name)).collect();
        kinds.sort_unstable();
        kinds.dedup();
        format!("Names end in `{}`, those of layers begin with `blk.0.`", kinds.join("`, `"))
    } else {
        format!("Did you mean `{}`?", near.join("` or `"))
    };
    let message = format!("{at}`{pattern}` matches no tensor name");
    rule.rule_error(rule.place, "gguf::no-match", message).help(help)
}

fn two_types(name: &str, first: &TypeRule, second: &TypeRule) -> RuleError {
    let message = format!(
        "`{name}` is given two types: {} by `{}`, and {} by `{}`",
        first.codec, first.shown, second.codec, second.shown
    );
    let rule_error = second
        .rule_error(second.codec_place, "gguf::two-types", message)
        .help("Make one of the patterns narrower, or leave one out");
    if first.codec_place == second.codec_place {
        return rule_error;
    }
    rule_error.related(first.codec_place, format!("{} is given here", first.codec))
}

/// Reports the types that need an imatrix: one error for the recipe, and one for each rule that overrides it.
fn without_imatrix<'a>(
    needed: impl Iterator<Item = (&'a (ModelTensor, String), &'a Choice)>,
    applied: &BTreeMap<ModelTensor, &TypeRule>,
    recipe: &Recipe,
    quantize: Place,
) -> Vec<RuleError> {
    let mut by_cause: BTreeMap<(Place, String), Vec<(&str, &'static Codec)>> = BTreeMap::new();
    for ((tensor, name), choice) in needed {
        let cause = match applied.get(tensor) {
            Some(rule) => (rule.codec_place, rule.shown.clone()),
            None => (quantize, recipe.name.to_owned()),
        };
        by_cause.entry(cause).or_default().push((name, choice.codec));
    }
    let rule_error = |((place, cause), tensors): ((Place, String), Vec<(&str, &'static Codec)>)| {
        let (name, codec) = tensors[0];
        let count = counted(tensors.len(), "tensor", "tensors");
        let message =
            format!("`{cause}` needs an imatrix for {count}, such as `{name}` as {codec}; found none");
        RuleError::new(place, "gguf::imatrix", message).help(
            "Add `imatrix \":target\"`, in a `model` `calibration \":dataset\"`; or take a recipe that needs none, \
             such as `Q2_K` or `IQ3_S`",
        )
    };
    by_cause.into_iter().map(rule_error).collect()
}

fn never_measured(name: &str, codec: &Codec, place: Place) -> RuleError {
    let message = format!(
        "`{name}` cannot be stored as {codec}: {codec} requires importance, which an imatrix does not have for \
         embedding and output"
    );
    RuleError::new(place, "gguf::imatrix", message)
        .help("Give it another type with `embedding-type` or `output-type`, such as `Q2_K` or `IQ3_S`")
}
