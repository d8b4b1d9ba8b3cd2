//! `adapter-gguf`: a LoRA as a separate GGUF file, which llama.cpp adds to a model while it loads.
//!
//! Such a file can only hold low-rank products; other changes of an adapter are refused.
//!
//! Source: `convert_lora_to_gguf.py` of llama.cpp.

use mc_encoding::codecs;
use mc_exporter::exporter::Exporter;
use mc_gguf::architecture::name_of;
use mc_gguf::exporter::GgufExporter;
use mc_gguf::layout::TensorPlan;
use mc_gguf::value::Value;
use mc_ir::action::{Artifact, Input};
use mc_ir::label::Label;
use mc_ir::provider::Providers;
use mc_ir::rule::{Rule, RuleContext};
use mc_ir::rule_error::RuleError;
use mc_ir::schema::{Arguments, ChildSchema, NodeSchema, Occurs, ValueKind};

use crate::action::exec_property::EXEC_PROPERTY;
use crate::action::tags::TAGS;
use crate::action::target_action::target_action;
use crate::attributes::{label, provider, text};
use crate::export::adapter_container::{ADAPTER_FILE, AdapterContainer};
use crate::export::adapter_gguf_tensors::Export;
use crate::export::gguf::file_name;
use crate::export::tensor_actions::unsupported;
use crate::source::adapter::AdapterInfo;
use crate::source::export_tensors::{described, family_of};

/// The rule's name.
pub const NAME: &str = "adapter-gguf";

/// The `adapter-gguf` rule.
pub struct AdapterGguf;

/// Provider of an adapter's file, read by bundles.
#[derive(Clone, Debug, PartialEq)]
pub struct AdapterGgufInfo {
    /// The file.
    pub gguf: Artifact,
    /// Its name.
    pub file: String,
    /// The checkpoint that it was trained on.
    pub base: Label,
}

fn types() -> Vec<&'static str> {
    vec!["F32", "F16", "BF16", "Q8_0"]
}

static ADAPTER: NodeSchema = NodeSchema::leaf("adapter", "The adapter to write.", ValueKind::Label);
static TYPE: NodeSchema = NodeSchema::leaf(
    "type",
    "The type of its numbers, by default F32; rows that are not whole blocks of Q8_0 are stored as F16.",
    ValueKind::OneOf(types),
);

static SCHEMA: NodeSchema = NodeSchema {
    name: NAME,
    doc: "A LoRA as a GGUF file, which is added to a model when the model is loaded.",
    arguments: Arguments::None,
    properties: &[],
    children: &[
        ChildSchema { node: &ADAPTER, occurs: Occurs::Once },
        ChildSchema { node: &TYPE, occurs: Occurs::Optional },
        ChildSchema { node: &EXEC_PROPERTY, occurs: Occurs::Any },
        ChildSchema { node: &TAGS, occurs: Occurs::Optional },
    ],
};

impl Rule for AdapterGguf {
    fn schema(&self) -> &'static NodeSchema {
        &SCHEMA
    }

    fn analyze(&self, ctx: &dyn RuleContext) -> Result<Providers, Vec<RuleError>> {
        let record = ctx.record();
        let named = label(record, "adapter").ok_or_else(Vec::new)?;
        let adapter: AdapterInfo = provider(ctx, &named, "an `adapter`")?;
        let codec = codecs::by_name(text(record, "type").unwrap_or("F32")).ok_or_else(Vec::new)?;
        let refusals = GgufExporter.accepts(&described(&adapter.model));
        if !refusals.is_empty() {
            return Err(refusals.into_iter().map(|refusal| unsupported(named.place, refusal)).collect());
        }
        let family = family_of(&adapter.model);
        let export = Export { adapter: &adapter, family: family.ok_or_else(Vec::new)?, codec };
        let tensors = export.tensors().map_err(|refusal| {
            let rule_error = RuleError::new(named.place, refusal.code, refusal.message);
            vec![match refusal.help {
                Some(help) => rule_error.help(help),
                None => rule_error,
            }]
        })?;
        let steps: Vec<(TensorPlan, Artifact)> =
            tensors.into_iter().map(|tensor| tensor.step(ctx.label(), record)).collect();
        let (plans, tensors): (Vec<_>, Vec<_>) = steps.into_iter().unzip();
        let container = AdapterContainer { keys: keys(&named.value.name, &adapter, export.alpha()), plans };
        let inputs = tensors.into_iter().map(Input::Artifact).collect();
        let node = target_action(ctx.label(), record, container, inputs);
        let file = file_name(ctx.label());
        let gguf = node.artifact(ADAPTER_FILE);
        let info = AdapterGgufInfo { gguf: gguf.clone(), file: file.clone(), base: adapter.base };
        let mut providers = Providers::default().with(info);
        providers.outputs.push((file, gguf));
        Ok(providers)
    }
}

/// Returns the keys, in the converter's order.
fn keys(name: &str, adapter: &AdapterInfo, alpha: f64) -> Vec<(String, Value)> {
    let text = |text: &str| Value::Text(text.to_owned());
    let key = |name: &str, value: Value| (name.to_owned(), value);
    vec![
        key("general.architecture", text(name_of(&adapter.model.decoder))),
        key("general.type", text("adapter")),
        key("adapter.type", text("lora")),
        key("general.name", text(name)),
        key("general.base_model.count", Value::U32(1)),
        key("general.base_model.0.name", text(&adapter.base.name)),
        key("adapter.lora.alpha", Value::F32(alpha as f32)),
        key("general.quantization_version", Value::U32(2)),
        key("mc.version", text(env!("CARGO_PKG_VERSION"))),
    ]
}
