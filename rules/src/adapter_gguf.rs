//! `adapter-gguf`: a LoRA as a GGUF file of its own, which llama.cpp adds to a model while it loads.
//!
//! llama.cpp scales every product by the file's one alpha and the rank of the tensor. Where the adapter's own scale is
//! another (rank-stabilised LoRA, ranks and alphas of single modules), the rest of the factor is multiplied into
//! `lora_b`, so that the result is that of a merge.
//!
//! Only low-rank products have a place in such a file; what else an adapter may bring is refused.
//!
//! Source: `convert_lora_to_gguf.py` and `llama-adapter.cpp` of llama.cpp.

use mc_codec::codec::Codec;
use mc_codec::codecs;
use mc_family::adapter_change::{
    BaseTensors, Change, FactorName, Layout, LowRankPair, WeightChange, match_adapter,
};
use mc_family::family::{Change as WireChange, Family};
use mc_format::gguf::layout::TensorPlan;
use mc_format::gguf::names::wire_name;
use mc_format::gguf::tensor_type::TensorType;
use mc_format::gguf::value::Value;
use mc_ir::action::{ActionNode, Artifact, Input};
use mc_ir::adapter_expression::AdapterExpr;
use mc_ir::expression::TensorExpr;
use mc_ir::fault::Fault;
use mc_ir::label::Label;
use mc_ir::provider::Providers;
use mc_ir::rule::{Rule, RuleContext};
use mc_ir::schema::{Arguments, ChildSchema, NodeSchema, Occurs, ValueKind};
use mc_tensor::model_tensor::ModelTensor;

use crate::adapter::AdapterInfo;
use crate::adapter_container::{ADAPTER_FILE, AdapterContainer};
use crate::adapter_weights::{check_dtype, stored};
use crate::attributes::{label, provider, text};
use crate::gguf::file_name;
use crate::tensor_action::{TENSOR, TensorAction};
use crate::wire_tensors::family_of;

/// The rule's name.
pub const NAME: &str = "adapter-gguf";

/// The `adapter-gguf` rule.
pub struct AdapterGguf;

/// What an adapter's file tells bundles.
#[derive(Clone, Debug, PartialEq)]
pub struct AdapterGgufInfo {
    /// The file.
    pub gguf: Artifact,
    /// What it is called.
    pub file: String,
    /// The checkpoint that it belongs to.
    pub base: Label,
}

fn types() -> Vec<&'static str> {
    vec!["F32", "F16", "BF16", "Q8_0"]
}

const fn leaf(name: &'static str, doc: &'static str, value: ValueKind) -> NodeSchema {
    NodeSchema { name, doc, arguments: Arguments::One(value), properties: &[], children: &[] }
}

static ADAPTER: NodeSchema = leaf("adapter", "The adapter to write.", ValueKind::Label);
static TYPE: NodeSchema = leaf(
    "type",
    "How its numbers are stored, F32 if not said; rows that are no whole blocks of Q8_0 are stored as F16.",
    ValueKind::OneOf(types),
);

static SCHEMA: NodeSchema = NodeSchema {
    name: NAME,
    doc: "A LoRA as a GGUF file, to be added to a model when that is loaded.",
    arguments: Arguments::None,
    properties: &[],
    children: &[
        ChildSchema { node: &ADAPTER, occurs: Occurs::Once },
        ChildSchema { node: &TYPE, occurs: Occurs::Optional },
    ],
};

impl Rule for AdapterGguf {
    fn schema(&self) -> &'static NodeSchema {
        &SCHEMA
    }

    fn analyze(&self, ctx: &dyn RuleContext) -> Result<Providers, Vec<Fault>> {
        let record = ctx.record();
        let named = label(record, "adapter").ok_or_else(Vec::new)?;
        let adapter: AdapterInfo = provider(ctx, &named, "an `adapter`")?;
        let codec = codecs::by_name(text(record, "type").unwrap_or("F32")).ok_or_else(Vec::new)?;
        let family = family_of(&adapter.model);
        let export = Export { adapter: &adapter, family: family.ok_or_else(Vec::new)?, codec };
        let factors = export.factors().map_err(|refusal| {
            let fault = Fault::new(named.place, refusal.code, refusal.message);
            vec![match refusal.help {
                Some(help) => fault.help(help),
                None => fault,
            }]
        })?;
        let steps: Vec<(TensorPlan, Artifact)> =
            factors.into_iter().map(|factor| factor.step(ctx.label())).collect();
        let (plans, tensors): (Vec<_>, Vec<_>) = steps.into_iter().unzip();
        let container = AdapterContainer { keys: keys(&named.value.name, &adapter), plans };
        let inputs = tensors.into_iter().map(Input::Artifact).collect();
        let node = ActionNode::new(ctx.label().clone(), Box::new(container), inputs);
        let file = file_name(ctx.label());
        let gguf = node.artifact(ADAPTER_FILE);
        let info = AdapterGgufInfo { gguf: gguf.clone(), file: file.clone(), base: adapter.base };
        let mut providers = Providers::default().with(info);
        providers.outputs.push((file, gguf));
        Ok(providers)
    }
}

/// The keys, in the converter's order.
fn keys(name: &str, adapter: &AdapterInfo) -> Vec<(String, Value)> {
    let text = |text: &str| Value::Text(text.to_owned());
    let key = |name: &str, value: Value| (name.to_owned(), value);
    vec![
        key("general.architecture", text(&adapter.model.decoder.architecture)),
        key("general.type", text("adapter")),
        key("adapter.type", text("lora")),
        key("general.name", text(name)),
        key("general.base_model.count", Value::U32(1)),
        key("general.base_model.0.name", text(&adapter.base.name)),
        key("adapter.lora.alpha", Value::F32(adapter.config.alpha as f32)),
        key("general.quantization_version", Value::U32(2)),
        key("mc.version", text(env!("CARGO_PKG_VERSION"))),
    ]
}

/// Why an adapter has no such file.
struct Refusal {
    code: &'static str,
    message: String,
    help: Option<&'static str>,
}

fn refused(message: String) -> Refusal {
    let help = "Merge the adapter into its base (`merge`) and write that";
    Refusal { code: "adapter-gguf::unsupported", message, help: Some(help) }
}

struct Export<'a> {
    adapter: &'a AdapterInfo,
    family: &'a dyn Family,
    codec: &'static Codec,
}

/// One tensor of the file.
struct FactorTensor {
    name: String,
    expression: TensorExpr,
    input: Input,
    codec: &'static Codec,
}

impl FactorTensor {
    /// Its place in the file, and the step that makes it.
    fn step(self, owner: &Label) -> (TensorPlan, Artifact) {
        let dims = self.expression.shape().into_iter().rev().collect();
        let (codec, name) = (self.codec, self.name);
        let of = Box::new(self.expression);
        let expression =
            TensorExpr::Quantize { codec: codec.name, version: codec.version, importance: None, of };
        let action = TensorAction { expression, codec, name: name.clone() };
        let node = ActionNode::new(owner.clone(), Box::new(action), vec![self.input]);
        (TensorPlan { name, kind: TensorType::of(codec), dims }, node.artifact(TENSOR))
    }
}

impl Export<'_> {
    fn factors(&self) -> Result<Vec<FactorTensor>, Refusal> {
        let model = &self.adapter.model;
        let shapes: Vec<_> =
            model.weights.iter().map(|weight| (weight.name.clone(), weight.shape())).collect();
        let tensors = &self.adapter.tensors;
        let stored: Vec<_> =
            tensors.iter().map(|tensor| (tensor.name.clone(), tensor.shape.clone())).collect();
        let base = BaseTensors { tensors: &shapes, by_token: &[] };
        let changes = match_adapter(&self.adapter.config, &stored, &base).map_err(|error| Refusal {
            code: "merge::adapter",
            message: error.to_string(),
            help: None,
        })?;
        let is_under_adapter = |change: &WeightChange| {
            // What lies under a trained embedding is the base's own: PEFT saves it to be sure.
            matches!(&change.change, Change::Replace { with } if with.ends_with(".base_layer.weight"))
        };
        let mut factors = Vec::new();
        for change in changes.iter().filter(|change| !is_under_adapter(change)) {
            let Change::AddLowRank(pair) = &change.change else {
                let weight = &change.weight_name;
                return Err(refused(format!(
                    "The adapter replaces `{weight}`, which llama.cpp's adapters cannot"
                )));
            };
            factors.extend(self.pair(&change.weight_name, pair)?);
        }
        Ok(factors)
    }

    fn pair(&self, weight: &str, pair: &LowRankPair) -> Result<[FactorTensor; 2], Refusal> {
        if pair.lengths.is_some() {
            return Err(refused("The adapter is a DoRA, which llama.cpp's adapters cannot be".to_owned()));
        }
        let tensor = self.family.tensor(weight).filter(|tensor| tensor.is_quantizable());
        let is_embedding = tensor == Some(ModelTensor::TokenEmbedding);
        let Some(tensor) =
            tensor.filter(|_| pair.layout == Layout::Matrix && pair.up.is_turned == is_embedding)
        else {
            return Err(refused(format!(
                "The adapter changes `{weight}`, which has no place in llama.cpp's adapters"
            )));
        };
        let name = wire_name(tensor);
        // llama.cpp looks rows of an embedding up: there `lora_a` has a row for each token.
        let (a, b) = match is_embedding {
            true => (&pair.up, FactorName { is_turned: false, ..pair.down.clone() }),
            false => (&pair.down, pair.up.clone()),
        };
        let mut b = self.load(&b)?;
        let scale = f64::from(pair.rank) * pair.scale / self.adapter.config.alpha;
        if scale != 1.0 {
            b.1 = TensorExpr::Adapter(AdapterExpr::Scale { of: Box::new(b.1), factor: scale as f32 });
        }
        let change = self.family.change(tensor, &self.adapter.model.decoder);
        if let Some(WireChange::Interleave { n_heads }) = change {
            b.1 = TensorExpr::PermuteHeads { n_heads: n_heads.into(), of: Box::new(b.1) };
        }
        let factor = |end: &str, (input, expression): (Input, TensorExpr)| {
            let n_cols = expression.shape().last().copied().unwrap_or(0);
            let is_whole = n_cols.is_multiple_of(self.codec.block_len as u64);
            let codec = if is_whole { self.codec } else { &mc_codec::plain::F16 };
            FactorTensor { name: format!("{name}.{end}"), expression, input, codec }
        };
        Ok([factor("lora_a", self.load(a)?), factor("lora_b", b)])
    }

    fn load(&self, factor: &FactorName) -> Result<(Input, TensorExpr), Refusal> {
        let stored = stored(self.adapter, &factor.name);
        check_dtype(stored).map_err(|message| Refusal { code: "merge::adapter", message, help: None })?;
        let load = TensorExpr::Load { input: 0, dtype: stored.dtype, shape: stored.shape.clone() };
        let expression = match factor.is_turned {
            true => TensorExpr::Adapter(AdapterExpr::Transpose { of: Box::new(load) }),
            false => load,
        };
        Ok((Input::Source(stored.source.clone()), expression))
    }
}
