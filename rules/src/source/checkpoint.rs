//! `checkpoint`: a Hugging Face folder with a model's configuration, tokenizer and weights; or a GGUF file,
//! which `source::gguf_checkpoint` reads.
//!
//! It has no actions: files are read in place. Only headers and configuration are read here, so every error
//! that can be found without reading a weight is an error of the declaration.

use mc_decoder::program::Head;
use mc_family::config::quantization::stored_scales;
use mc_family::config::{CONFIG, Config};
use mc_family::families::for_config;
use mc_ir::provider::Providers;
use mc_ir::rule::{Rule, RuleContext};
use mc_ir::rule_error::RuleError;
use mc_ir::schema::{Arguments, ChildSchema, NodeSchema, Occurs};

use crate::attributes::{shown_path, source_error};
use crate::source::about::{About, Names, Published, sampling};
use crate::source::checkpoint_files::{Reader, front_matter};
use crate::source::checkpoint_tensors::Matching;
use crate::source::gguf_checkpoint;
use crate::source::model_info::{Lineage, ModelInfo};
use crate::source::origin::{DIR, GGUF, HTTP, HUGGING_FACE, OCI, declared, folder};
use crate::source::weights::{joined, stored_tensors};

/// The `checkpoint` rule.
pub struct Checkpoint;

static SCHEMA: NodeSchema = NodeSchema {
    name: "checkpoint",
    doc: "A model as Hugging Face stores it (`config.json`, `tokenizer.json`, `*.safetensors`), or a GGUF file.",
    arguments: Arguments::None,
    properties: &[DIR, GGUF],
    children: &[
        ChildSchema { node: &HUGGING_FACE, occurs: Occurs::Optional },
        ChildSchema { node: &HTTP, occurs: Occurs::Optional },
        ChildSchema { node: &OCI, occurs: Occurs::Optional },
    ],
};

impl Rule for Checkpoint {
    fn schema(&self) -> &'static NodeSchema {
        &SCHEMA
    }

    fn analyze(&self, ctx: &dyn RuleContext) -> Result<Providers, Vec<RuleError>> {
        let (folder, place) = folder(ctx)?;
        if let Some(file) = ctx.record().property(GGUF.name) {
            let name = file.value.as_text().unwrap_or_default();
            return gguf_checkpoint::provide(ctx, file.place, &joined(&folder, name));
        }
        let names = ctx.list(&folder).map_err(|error| {
            vec![
                source_error(place, "checkpoint::folder", &error)
                    .help("`dir` is relative to the package's folder"),
            ]
        })?;
        let files = Reader { ctx, place, folder: &folder, names: &names }.files()?;
        let card = front_matter(ctx, &folder, &names);
        let config_path = joined(&folder, "config.json");
        let shown = shown_path(ctx, &config_path);
        let rule_error =
            |message: String| vec![RuleError::new(place, "checkpoint::config", message).file(shown.clone())];
        let config = ctx
            .read(&config_path)
            .map_err(|error| vec![source_error(place, "checkpoint::config", &error)])?;
        let config = mc_family::config::parse("config.json", &config)
            .map_err(|error| rule_error(error.to_string()))?;
        let family = for_config(&config).map_err(|error| {
            let found = rule_error(error.to_string());
            match error.help() {
                Some(help) => found.into_iter().map(|found| found.help(help.clone())).collect(),
                None => found,
            }
        })?;
        let decoder = family.decoder(&config).map_err(|error| rule_error(error.to_string()))?;
        let stored = stored_tensors(ctx, place, &folder, &names, "model")?;
        let weights = Matching {
            place,
            folder: &shown_path(ctx, &folder),
            family,
            is_tied: decoder.head == Head::Tied,
            scales: stored_scales(
                &Config::new(CONFIG, &config).map_err(|error| rule_error(error.to_string()))?,
            )
            .map_err(|error| rule_error(error.to_string()))?,
        }
        .weights(&stored, &family.tensors(&decoder).collect::<Vec<_>>())?;
        let origin = declared(ctx.record()).map(|origin| origin.value);
        let folder_shown = shown_path(ctx, &folder);
        let about = About {
            pipeline_tag: card.text("pipeline_tag").map(str::to_owned),
            sampling: advice(ctx, &folder, &names),
            ..Names {
                card: &card,
                origin: origin.as_ref(),
                configured: config.get("_name_or_path").and_then(serde_json::Value::as_str),
                folder: folder_shown.rsplit('/').next().unwrap_or_default(),
                label: ctx.label(),
                n_parameters: weights.iter().map(|weight| weight.shape().iter().product::<u64>()).sum(),
            }
            .about()
        };
        let lineage = Lineage {
            role: "base".to_owned(),
            label: ctx.label().clone(),
            published: Published::new(&about.title, &about.identity, origin.as_ref()),
            tensors: stored.into_iter().map(|tensor| (tensor.name, tensor.source)).collect(),
        };
        let info = ModelInfo {
            name: ctx.label().name.clone(),
            about: about.into(),
            known_as: known_as(&config, &folder_shown),
            is_quantized: false,
            family: family.name(),
            decoder,
            weights: weights.into(),
            factors: [].into(),
            files,
            lineage: [lineage].into(),
        };
        Ok(Providers::default().with(info))
    }
}

/// Returns the recommended sampling parameters in `generation_config.json`. If the file is corrupt, the code that reads
/// its tokens reports the error.
fn advice(ctx: &dyn RuleContext, folder: &str, names: &[String]) -> Vec<(String, String)> {
    let is_there = names.iter().any(|name| name == GENERATION_CONFIG);
    let bytes = is_there.then(|| ctx.read(&joined(folder, GENERATION_CONFIG)).ok()).flatten();
    let config = bytes.and_then(|bytes| serde_json::from_slice::<serde_json::Value>(&bytes).ok());
    config.map_or_else(Vec::new, |config| sampling(&config))
}

const GENERATION_CONFIG: &str = "generation_config.json";

/// The names of the checkpoint: the one in its configuration, and that of its folder.
fn known_as(config: &serde_json::Value, folder: &str) -> Vec<String> {
    let made_as = config.get("_name_or_path").and_then(serde_json::Value::as_str);
    let folder = folder.rsplit('/').next().unwrap_or(folder);
    made_as.into_iter().chain([folder]).map(str::to_owned).collect()
}
