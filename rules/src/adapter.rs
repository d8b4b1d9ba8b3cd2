//! `adapter`: a PEFT LoRA folder, with the checkpoint that it was trained on.
//!
//! It makes nothing; whether its tensors fit is for `merge` to say, which knows the base.

use mc_family::adapter::AdapterConfig;
use mc_ir::action::Source;
use mc_ir::attribute::Placed;
use mc_ir::fault::Fault;
use mc_ir::label::Label;
use mc_ir::provider::Providers;
use mc_ir::rule::{Rule, RuleContext};
use mc_ir::schema::{Arguments, ChildSchema, NodeSchema, Occurs, Presence, PropertySchema, ValueKind};

use crate::attributes::{label_property, provider, shown_path, source_fault};
use crate::checkpoint_files::licences;
use crate::model_info::ModelInfo;
use crate::origin::{DIR, HTTP, HUGGING_FACE, OCI, folder};
use crate::weights::{StoredTensor, joined, stored_tensors};

/// The `adapter` rule.
pub struct Adapter;

/// What an adapter tells a merge.
#[derive(Clone, Debug)]
pub struct AdapterInfo {
    /// The checkpoint that it belongs to.
    pub base: Label,
    /// How its pairs are scaled.
    pub config: AdapterConfig,
    /// Its tensors.
    pub tensors: Vec<StoredTensor>,
    /// Licence texts, each with the name that a bundle gives it.
    pub licences: Vec<(Source, String)>,
}

static SCHEMA: NodeSchema = NodeSchema {
    name: "adapter",
    doc: "A LoRA as PEFT stores it: `adapter_config.json` and `adapter_model.safetensors`.",
    arguments: Arguments::None,
    properties: &[
        DIR,
        PropertySchema {
            name: "base",
            value: ValueKind::Label,
            presence: Presence::Required,
            doc: "The checkpoint that it was trained on.",
        },
    ],
    children: &[
        ChildSchema { node: &HUGGING_FACE, occurs: Occurs::Optional },
        ChildSchema { node: &HTTP, occurs: Occurs::Optional },
        ChildSchema { node: &OCI, occurs: Occurs::Optional },
    ],
};

impl Rule for Adapter {
    fn schema(&self) -> &'static NodeSchema {
        &SCHEMA
    }

    fn analyze(&self, ctx: &dyn RuleContext) -> Result<Providers, Vec<Fault>> {
        let (folder, place) = folder(ctx)?;
        let base: Placed<Label> = label_property(ctx.record(), "base").ok_or_else(Vec::new)?;
        provider::<ModelInfo>(ctx, &base, "a `checkpoint`")?;
        let names = ctx.list(&folder).map_err(|error| {
            vec![
                source_fault(place, "adapter::folder", &error)
                    .help("`dir` is relative to the package's folder"),
            ]
        })?;
        let config_path = joined(&folder, "adapter_config.json");
        let config =
            ctx.read(&config_path).map_err(|error| vec![source_fault(place, "adapter::config", &error)])?;
        let config = AdapterConfig::from_json(&String::from_utf8_lossy(&config)).map_err(|error| {
            vec![Fault::new(place, "adapter::config", error.to_string()).file(shown_path(ctx, &config_path))]
        })?;
        let info = AdapterInfo {
            base: base.value,
            config,
            tensors: stored_tensors(ctx, place, &folder, &names, "adapter_model")?,
            licences: licences(ctx, &folder, &names),
        };
        Ok(Providers::default().with(info))
    }
}
