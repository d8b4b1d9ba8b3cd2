//! `blend`: merges several models of one shape, weight by weight, or stacks layers of several models.
//!
//! It has no actions: each weight becomes an expression, which the actions that read it evaluate while they
//! stream. The methods and their parameters are those of mergekit; [`mc_tensor::blend`] has the arithmetic.

use std::collections::BTreeMap;

use mc_ir::attribute::{Placed, Record};
use mc_ir::label::Label;
use mc_ir::provider::Providers;
use mc_ir::rule::{Rule, RuleContext};
use mc_ir::rule_error::RuleError;
use mc_ir::schema::{Arguments, ChildSchema, NodeSchema, Occurs, Presence, PropertySchema, ValueKind};
use mc_tensor::dtype::DType;

use crate::attributes::{label, provider, text};
use crate::source::export_tensors::family_of;
use crate::source::model_info::{Lineage, ModelFiles, ModelInfo};
use crate::transform::blend_meaning::{Difference, first_difference};
use crate::transform::blend_method::{ATTRIBUTES, Method, names};
use crate::transform::blend_parts::{OF_MODELS, Slice, labels, slices};
use crate::transform::blend_settings::{Setting, settings};
use crate::transform::blend_weights::WeightBlender;

/// The rule's name.
pub const NAME: &str = "blend";

/// The `blend` rule.
pub struct Blend;

const FILTER: &[PropertySchema] = &[PropertySchema {
    name: "filter",
    value: ValueKind::Text,
    presence: Presence::Optional,
    doc: "Only for weights whose name contains this text.",
}];

/// Declares a parameter that may differ from weight to weight.
const fn setting(name: &'static str, doc: &'static str) -> NodeSchema {
    NodeSchema { name, doc, arguments: Arguments::Many(ValueKind::Number), properties: FILTER, children: &[] }
}

static WEIGHT: NodeSchema =
    setting("weight", "Factor on a model; required by the methods that weigh models.");
static DENSITY: NodeSchema = setting(
    "density",
    "Share of a model's difference from the base that is kept: above 0, at most 1; by default 1.",
);
static SCALE: NodeSchema = setting("scale", "Factor on weights that are copied; by default 1.");
static T: NodeSchema = setting("t", "Position between the base (0) and the other model (1).");
static LAMBDA: NodeSchema =
    setting("lambda", "Factor on the sum of the models' differences from the base; by default 1.");

const fn any(node: &'static NodeSchema) -> ChildSchema {
    ChildSchema { node, occurs: Occurs::Any }
}

const fn optional(node: &'static NodeSchema) -> ChildSchema {
    ChildSchema { node, occurs: Occurs::Optional }
}

const fn number(name: &'static str, doc: &'static str) -> PropertySchema {
    PropertySchema { name, value: ValueKind::Number, presence: Presence::Optional, doc }
}

const fn bound(name: &'static str, doc: &'static str) -> PropertySchema {
    PropertySchema { name, value: ValueKind::Integer, presence: Presence::Required, doc }
}

const OWN_WEIGHT: PropertySchema = number("weight", "Factor on the model.");
const OWN_DENSITY: PropertySchema =
    number("density", "Share of the model's difference from the base that is kept.");
const OWN_SCALE: PropertySchema = number("scale", "Factor on weights that are copied.");

static MODEL: NodeSchema = NodeSchema {
    name: "model",
    doc: "A model to blend: a checkpoint, a merge or another blend.",
    arguments: Arguments::One(ValueKind::Label),
    properties: &[OWN_WEIGHT, OWN_DENSITY, OWN_SCALE],
    children: &[any(&WEIGHT), any(&DENSITY), any(&SCALE)],
};

static LAYERS: NodeSchema = NodeSchema {
    name: "model",
    doc: "Layers of a model.",
    arguments: Arguments::One(ValueKind::Label),
    properties: &[
        bound("from", "The first layer, counted from 0."),
        bound("to", "The layer after the last."),
        OWN_WEIGHT,
        OWN_DENSITY,
        OWN_SCALE,
    ],
    children: &[any(&WEIGHT), any(&DENSITY), any(&SCALE)],
};

static SLICE: NodeSchema = NodeSchema {
    name: "slice",
    doc: "The next layers of the result: from one model, or from several that are merged.",
    arguments: Arguments::None,
    properties: &[],
    children: &[any(&LAYERS), any(&T)],
};

static METHOD: NodeSchema =
    NodeSchema::leaf("method", "The method by which weights are merged, see below.", ValueKind::OneOf(names));
static BASE: NodeSchema = NodeSchema::leaf(
    "base",
    "The model from which the others were trained; the result has its configuration, by default the first model's.",
    ValueKind::Label,
);
static NORMALIZE: NodeSchema = NodeSchema::leaf(
    "normalize",
    "Divides sums by the sum of the weights; the default depends on the method.",
    ValueKind::Bool,
);
static RESCALE: NodeSchema = NodeSchema::leaf(
    "rescale",
    "Divides randomly kept values by the density; by default `#true`.",
    ValueKind::Bool,
);
static SEED: NodeSchema =
    NodeSchema::leaf("seed", "Seed of the random choice; by default 0.", ValueKind::Integer);
static DTYPE: NodeSchema = NodeSchema::leaf(
    "dtype",
    "The type of the result's weights; by default that of the base, or of the first model.",
    ValueKind::OneOf(dtypes),
);
static TOKENIZER: NodeSchema = NodeSchema::leaf(
    "tokenizer",
    "The model from which the result takes its tokenizer; by default the base, or the first model.",
    ValueKind::Label,
);

static SCHEMA: NodeSchema = NodeSchema {
    name: NAME,
    doc: "Several models merged into one.",
    arguments: Arguments::None,
    properties: &[],
    children: &[
        ChildSchema { node: &METHOD, occurs: Occurs::Once },
        optional(&BASE),
        any(&MODEL),
        any(&SLICE),
        any(&T),
        any(&WEIGHT),
        any(&DENSITY),
        any(&SCALE),
        any(&LAMBDA),
        optional(&NORMALIZE),
        optional(&RESCALE),
        optional(&SEED),
        optional(&DTYPE),
        optional(&TOKENIZER),
    ],
};

const DTYPES: &[(&str, DType)] = &[("F32", DType::F32), ("F16", DType::F16), ("BF16", DType::BF16)];

fn dtypes() -> Vec<&'static str> {
    DTYPES.iter().map(|(name, _)| *name).collect()
}

impl Rule for Blend {
    fn schema(&self) -> &'static NodeSchema {
        &SCHEMA
    }

    fn analyze(&self, ctx: &dyn RuleContext) -> Result<Providers, Vec<RuleError>> {
        let record = ctx.record();
        let method = text(record, "method").and_then(Method::by_name).ok_or_else(Vec::new)?;
        let mut rule_errors = meaningless(record, method);
        let base = label(record, "base");
        if base.is_none() && method.needs_base() {
            let message = format!("`{}` needs a `base`; found none", method.name());
            rule_errors.push(
                RuleError::new(record.place, "blend::models", message)
                    .help("Add `base \":name\"`: the model from which the others were trained"),
            );
        }
        let models = match models(ctx, record) {
            Ok(models) if rule_errors.is_empty() => models,
            models => {
                rule_errors.extend(models.err().unwrap_or_default());
                return Err(rule_errors);
            }
        };
        let slices = slices(record, method, base.as_ref(), &models)?;
        let first = slices.first().map(|slice| slice.reference().label.clone());
        let lead = base.or(first).ok_or_else(Vec::new)?;
        let info = models.get(&lead.value).ok_or_else(Vec::new)?;
        fit(record, &lead, &models)?;
        let family = family_of(info);
        let truth = |name: &str| record.value(name).and_then(|placed| placed.value.as_bool());
        let seed = record.value("seed").and_then(|placed| placed.value.as_integer()).unwrap_or(0);
        let dtype = DTYPES.iter().find(|(name, _)| text(record, "dtype") == Some(*name));
        let shared: BTreeMap<&'static str, Vec<Setting>> =
            OF_MODELS.into_iter().chain(["t", "lambda"]).map(|name| (name, settings(record, name))).collect();
        let weights = WeightBlender {
            method,
            slices: &slices,
            models: &models,
            family: family.ok_or_else(Vec::new)?,
            shared: &shared,
            divide: truth("normalize").unwrap_or_else(|| method.divides()),
            rescale: truth("rescale").unwrap_or(true),
            seed: u64::try_from(seed).unwrap_or(0),
            dtype: dtype.map(|(_, dtype)| *dtype),
        }
        .weights()?;
        let tokenizer = label(record, "tokenizer").and_then(|label| models.get(&label.value)).unwrap_or(info);
        let mut blended = info.clone();
        blended.name.clone_from(&ctx.label().name);
        blended.about = info.about.blended(ctx.label(), models.values().map(|model| &*model.about)).into();
        blended.decoder.blocks = slices.iter().flat_map(|slice| blocks(slice, &models)).collect();
        blended.weights = weights.into();
        blended.files = files(info, tokenizer, &models);
        blended.is_quantized = models.values().any(|model| model.is_quantized);
        blended.lineage = lineage(&lead.value, &models).into();
        Ok(Providers::default().with(blended))
    }
}

/// Reports each parameter that the method does not read, because it would have no effect.
fn meaningless(record: &Record, method: Method) -> Vec<RuleError> {
    let in_slices = record.children("slice").iter().flat_map(|slice| slice.children("model"));
    let models = record.children("model").iter().chain(in_slices).chain(record.children("slice"));
    let mut rule_errors = Vec::new();
    for node in std::iter::once(record).chain(models) {
        for name in ATTRIBUTES.iter().filter(|name| !method.takes(name)) {
            let place = node.property(name).map(|placed| placed.place);
            let Some(place) = place.or_else(|| node.child(name).map(|child| child.place)) else { continue };
            let message = format!("`{name}` has no effect with the method `{}`", method.name());
            rule_errors.push(
                RuleError::new(place, "blend::method", message)
                    .help("Leave it out, or take another `method`"),
            );
        }
    }
    rule_errors
}

/// Returns every model that is named.
fn models(ctx: &dyn RuleContext, record: &Record) -> Result<BTreeMap<Label, ModelInfo>, Vec<RuleError>> {
    let (mut models, mut rule_errors, mut is_failed) = (BTreeMap::new(), Vec::new(), false);
    for named in labels(record) {
        match provider::<ModelInfo>(ctx, &named, "a `checkpoint`, a `merge` or a `blend`") {
            Ok(info) => {
                models.insert(named.value, info);
            }
            Err(found) => {
                is_failed = true;
                rule_errors.extend(found);
            }
        }
    }
    if is_failed { Err(rule_errors) } else { Ok(models) }
}

/// Checks that all models have one family, one width and one vocabulary, and interpret their weights alike.
fn fit(
    record: &Record,
    lead: &Placed<Label>,
    models: &BTreeMap<Label, ModelInfo>,
) -> Result<(), Vec<RuleError>> {
    let Some(first) = models.get(&lead.value) else { return Ok(()) };
    let mut rule_errors = Vec::new();
    for named in labels(record) {
        let Some(model) = models.get(&named.value) else { continue };
        let (ours, theirs) = (&model.decoder, &first.decoder);
        let (name, other) = (&named.value, &lead.value);
        let mut rule_error = |code, message: String, help: &str| {
            rule_errors.push(RuleError::new(named.place, code, message).help(help));
        };
        if model.family != first.family {
            rule_error(
                "blend::family",
                format!("`{name}` is a {} model and `{other}` a {} model", model.family, first.family),
                "Only models that derive from the same one can be blended",
            );
        } else if ours.n_embd != theirs.n_embd {
            rule_error(
                "blend::family",
                format!("`{name}` is {} wide and `{other}` {}", ours.n_embd, theirs.n_embd),
                "Only models of one size can be blended",
            );
        } else if ours.n_vocab != theirs.n_vocab {
            rule_error(
                "blend::vocabulary",
                format!("`{name}` has {} tokens and `{other}` has {}", ours.n_vocab, theirs.n_vocab),
                "Give both the same tokens before export: add those that are missing to the \
                 tokenizer, then `model.resize_token_embeddings(n)`",
            );
        } else if let Some(difference) = first_difference(ours, theirs) {
            let Difference { what, ours, theirs } = difference;
            rule_error(
                "blend::family",
                format!("{what}: `{name}` has {ours} and `{other}` {theirs}"),
                "The same numbers have another meaning in the other model; only models that derive from the same one \
                 can be blended",
            );
        } else if ours.head != theirs.head {
            rule_error(
                "blend::family",
                format!("One of `{name}` and `{other}` has its own head, the other uses its embedding"),
                "Set `tie_word_embeddings` alike in both and export them again",
            );
        }
    }
    // A model that is named twice is reported once.
    rule_errors.dedup_by(|a, b| a.message == b.message);
    if rule_errors.is_empty() { Ok(()) } else { Err(rule_errors) }
}

/// Returns the program of a slice's layers.
fn blocks(slice: &Slice, models: &BTreeMap<Label, ModelInfo>) -> Vec<mc_decoder::program::Block> {
    let part = slice.reference();
    let blocks = models.get(&part.label.value).map(|model| model.decoder.blocks.as_slice());
    let range = part.layers.start as usize..part.layers.end as usize;
    blocks.and_then(|blocks| blocks.get(range)).unwrap_or_default().to_vec()
}

/// Combines the configuration of one model, the tokenizer of another, and the licenses of all.
fn files(info: &ModelInfo, tokenizer: &ModelInfo, models: &BTreeMap<Label, ModelInfo>) -> ModelFiles {
    let mut licenses = info.files.licenses.clone();
    for (label, model) in models {
        for (source, name) in &model.files.licenses {
            if licenses.iter().any(|(known, _)| known == source) {
                continue;
            }
            // A license text whose name is taken gets the model's name added.
            let is_taken = licenses.iter().any(|(_, taken)| taken == name);
            let name = if is_taken { format!("{name}.{}", label.name) } else { name.clone() };
            licenses.push((source.clone(), name));
        }
    }
    ModelFiles {
        config: info.files.config.clone(),
        head: info.files.head.clone(),
        generation_config: info.files.generation_config.clone(),
        licenses,
        ..tokenizer.files.clone()
    }
}

/// Returns the lineage of the leading model, then that of the others under `model.0` and so on; if the
/// leading model is a blend, numbers continue after its own.
fn lineage(lead: &Label, models: &BTreeMap<Label, ModelInfo>) -> Vec<Lineage> {
    let mut lineage: Vec<Lineage> = models.get(lead).map(|model| model.lineage.to_vec()).unwrap_or_default();
    let numbered = |lineage: &Lineage| -> Option<usize> {
        lineage.role.strip_prefix("model.")?.split('.').next()?.parse().ok()
    };
    let first = lineage.iter().filter_map(numbered).max().map_or(0, |last| last + 1);
    let others = models.iter().filter(|(label, _)| *label != lead);
    for (number, (_, model)) in (first..).zip(others) {
        for part in model.lineage.iter() {
            let role = match part.role.as_str() {
                "base" => format!("model.{number}"),
                role => format!("model.{number}.{role}"),
            };
            lineage.push(Lineage { role, ..part.clone() });
        }
    }
    lineage
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use mc_decoder::needed::Needed;
    use mc_expression::expression::TensorExpr;
    use mc_expression::operators::load::Load;
    use mc_family::families::FAMILIES;
    use mc_ir::action::{Input, Source};
    use mc_ir::attribute::{Place, Value};
    use mc_ir::label::PackageId;
    use serde_json::json;

    use super::*;
    use crate::source::about::Published;
    use crate::source::model_info::Weight;
    use crate::transform::blend_parts::Part;

    fn label(name: &str) -> Label {
        Label::new(PackageId(String::new()), name)
    }

    fn source(path: &str) -> Source {
        Source { path: Path::new(path).into(), range: None }
    }

    /// A small model; `shape` may change the shape of a tensor, or leave it out.
    fn model(n_vocab: u64, width: u64, shape: impl Fn(&str, Vec<u64>) -> Option<Vec<u64>>) -> ModelInfo {
        let config = json!({
            "architectures": ["LlamaForCausalLM"], "hidden_act": "silu", "hidden_size": width,
            "intermediate_size": 8, "max_position_embeddings": 8, "num_attention_heads": 2,
            "num_hidden_layers": 2, "num_key_value_heads": 1, "rms_norm_eps": 1e-5, "rope_theta": 10000.0,
            "tie_word_embeddings": true, "vocab_size": n_vocab,
        });
        let family = mc_family::families::for_config(&config).unwrap();
        let decoder = family.decoder(&config).unwrap();
        let weight = |needed: Needed| {
            let Needed { tensor, part, shape: given } = needed;
            let name = family.checkpoint_name(tensor, part)?;
            let load = Load { input: 0, dtype: DType::BF16, shape: shape(&name, given)? };
            let expression = TensorExpr::new(load);
            let inputs = vec![Input::Source(source(&name))];
            Some(Weight { tensor, part, name, dtype: DType::BF16, expression, inputs })
        };
        let weights: Vec<Weight> = family.tensors(&decoder).filter_map(weight).collect();
        let lineage = Lineage {
            role: "base".to_owned(),
            label: label("x"),
            published: Published::default(),
            tensors: Vec::new(),
        };
        let files = ModelFiles::of(source("config.json"), source("tokenizer.json"));
        ModelInfo {
            name: String::new(),
            family: family.name(),
            decoder,
            weights: weights.into(),
            files,
            lineage: [lineage].into(),
            about: std::sync::Arc::default(),
            factors: [].into(),
            known_as: Vec::new(),
            is_quantized: false,
        }
    }

    fn as_it_is(_name: &str, shape: Vec<u64>) -> Option<Vec<u64>> {
        Some(shape)
    }

    /// Returns the messages about a model that is blended with a plain one of four columns and ten tokens.
    fn reported(other: ModelInfo) -> Vec<String> {
        let (ours, theirs) = (label("plain"), label("other"));
        let models = BTreeMap::from([(ours.clone(), model(10, 4, as_it_is)), (theirs.clone(), other)]);
        let mut record = Record::new(Place(0));
        for label in [&ours, &theirs] {
            let mut node = Record::new(Place(0));
            node.arguments.push(Placed { value: Value::Label(label.clone()), place: Place(0) });
            record.children.entry("model".to_owned()).or_default().push(node);
        }
        let lead = Placed { value: ours.clone(), place: Place(0) };
        let messages = |rule_errors: Vec<RuleError>| {
            rule_errors.into_iter().map(|rule_error| rule_error.message).collect()
        };
        if let Err(rule_errors) = fit(&record, &lead, &models) {
            return messages(rule_errors);
        }
        let part = |label: Label| {
            let label = Placed { value: label, place: Place(0) };
            let one = Setting { place: Place(0), filter: None, values: vec![1.0] };
            Part { label, layers: 0..2, settings: BTreeMap::from([("weight", vec![one])]) }
        };
        let parts = vec![part(ours), part(theirs)];
        let slice = Slice { place: Place(0), parts, reference: 0, t: Vec::new() };
        let weaver = WeightBlender {
            method: Method::Linear,
            slices: &[slice],
            models: &models,
            family: FAMILIES[0],
            shared: &BTreeMap::new(),
            divide: true,
            rescale: true,
            seed: 0,
            dtype: None,
        };
        weaver.weights().map_or_else(messages, |weights| vec![format!("{} weights", weights.len())])
    }

    #[test]
    fn models_that_do_not_fit_are_named_with_the_tensor() {
        assert_eq!(reported(model(10, 4, as_it_is)), ["20 weights"]);
        assert_eq!(reported(model(11, 4, as_it_is)), ["`//:other` has 11 tokens and `//:plain` has 10"]);
        assert_eq!(reported(model(10, 8, as_it_is)), ["`//:other` is 8 wide and `//:plain` 4"]);
        let without =
            |part: &'static str| move |name: &str, shape: Vec<u64>| (!name.contains(part)).then_some(shape);
        assert_eq!(
            reported(model(10, 4, without("1.mlp.up_proj"))),
            ["1 tensor is in `//:plain` and not in `//:other`: `model.layers.1.mlp.up_proj.weight`"]
        );
        assert_eq!(reported(model(10, 4, without("mlp")))[0].matches("model.layers").count(), 4);
        let taller =
            |name: &str, shape: Vec<u64>| Some(if name.contains("0.mlp.down") { vec![4, 9] } else { shape });
        assert_eq!(
            reported(model(10, 4, taller)),
            [
                "Tensor `model.layers.0.mlp.down_proj.weight` has shape [4, 9] in `//:other` and [4, 8] in `//:plain`"
            ]
        );
    }

    #[test]
    fn roles_of_the_lineage_are_unique() {
        let roles = |roles: &[&str]| {
            let mut model = model(10, 4, as_it_is);
            let part = |role: &&str| Lineage { role: (*role).to_owned(), ..model.lineage[0].clone() };
            model.lineage = roles.iter().map(part).collect();
            model
        };
        let lead = roles(&["base", "model.0", "model.1.adapter.0"]);
        let models = BTreeMap::from([(label("a"), lead), (label("b"), roles(&["base", "model.0"]))]);
        let found: Vec<String> = lineage(&label("a"), &models).into_iter().map(|part| part.role).collect();
        assert_eq!(found, ["base", "model.0", "model.1.adapter.0", "model.2", "model.2.model.0"]);
    }
}
