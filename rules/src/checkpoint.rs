//! `checkpoint`: a Hugging Face folder with a model's configuration, tokenizer and weights.
//!
//! It makes nothing: everything is read where it lies. What is read here are headers and configuration, so all that
//! can be known to be wrong without touching a weight is a fault of the declaration.

use mc_decoder::program::Head;
use mc_family::families::for_config;
use mc_family::family::Family;
use mc_ir::action::{Input, Source};
use mc_ir::attribute::Place;
use mc_ir::expression::TensorExpr;
use mc_ir::fault::Fault;
use mc_ir::provider::Providers;
use mc_ir::rule::{Rule, RuleContext};
use mc_ir::schema::{Arguments, NodeSchema, Presence, PropertySchema, ValueKind};
use mc_tensor::model_tensor::ModelTensor;

use crate::attributes::{counted, shown_path, source_fault};
use crate::model_info::{Lineage, ModelFiles, ModelInfo, Weight};
use crate::weights::{StoredTensor, joined, stored_tensors};

/// The `checkpoint` rule.
pub struct Checkpoint;

/// How many names a message lists.
const MAX_LISTED: usize = 4;

static SCHEMA: NodeSchema = NodeSchema {
    name: "checkpoint",
    doc: "A model as Hugging Face stores it: `config.json`, `tokenizer.json` and `*.safetensors`.",
    arguments: Arguments::None,
    properties: &[PropertySchema {
        name: "dir",
        value: ValueKind::Path,
        presence: Presence::Required,
        doc: "Its folder.",
    }],
    children: &[],
};

impl Rule for Checkpoint {
    fn schema(&self) -> &'static NodeSchema {
        &SCHEMA
    }

    fn analyze(&self, ctx: &dyn RuleContext) -> Result<Providers, Vec<Fault>> {
        let Some((folder, place)) = folder(ctx) else { return Err(Vec::new()) };
        let names = ctx.list(&folder).map_err(|error| {
            vec![
                source_fault(place, "checkpoint::folder", &error)
                    .help("`dir` is relative to the package's folder"),
            ]
        })?;
        let reader = Reader { ctx, place, folder: &folder, names: &names };
        let files = reader.files()?;
        let config_path = joined(&folder, "config.json");
        let shown = shown_path(ctx, &config_path);
        let fault =
            |message: String| vec![Fault::new(place, "checkpoint::config", message).file(shown.clone())];
        let config = ctx
            .read(&config_path)
            .map_err(|error| vec![source_fault(place, "checkpoint::config", &error)])?;
        let config =
            mc_family::config::parse("config.json", &config).map_err(|error| fault(error.to_string()))?;
        let family = for_config(&config).map_err(|error| fault(error.to_string()))?;
        let decoder = family.decoder(&config).map_err(|error| fault(error.to_string()))?;
        let stored = stored_tensors(ctx, place, &folder, &names, "model")?;
        let weights = Matching {
            place,
            folder: &shown_path(ctx, &folder),
            family,
            is_tied: decoder.head == Head::Tied,
        }
        .weights(&stored, &family.tensors(&decoder))?;
        let lineage = Lineage {
            role: "base".to_owned(),
            label: ctx.label().clone(),
            tensors: stored.into_iter().map(|tensor| (tensor.name, tensor.source)).collect(),
        };
        let info = ModelInfo {
            name: ctx.label().name.clone(),
            decoder,
            weights: weights.into(),
            files,
            lineage: [lineage].into(),
        };
        Ok(Providers::default().with(info))
    }
}

/// The folder in `dir`, and where it is written.
pub(crate) fn folder(ctx: &dyn RuleContext) -> Option<(String, Place)> {
    let placed = ctx.record().property("dir")?;
    Some((placed.value.as_text()?.to_owned(), placed.place))
}

struct Reader<'a> {
    ctx: &'a dyn RuleContext,
    place: Place,
    folder: &'a str,
    names: &'a [String],
}

impl Reader<'_> {
    fn optional(&self, name: &str) -> Option<Source> {
        self.names.iter().any(|found| found == name).then(|| self.ctx.source(&joined(self.folder, name)))
    }

    fn required(&self, name: &str, help: &str) -> Result<Source, Vec<Fault>> {
        self.optional(name).ok_or_else(|| {
            let message = format!("There is no `{name}` in `{}`", shown_path(self.ctx, self.folder));
            vec![Fault::new(self.place, "checkpoint::file", message).help(help)]
        })
    }

    fn files(&self) -> Result<ModelFiles, Vec<Fault>> {
        let config = self.required("config.json", "A checkpoint is a folder as Hugging Face stores it");
        let tokenizer = self.required(
            "tokenizer.json",
            "Save it with the model: `AutoTokenizer.from_pretrained(…).save_pretrained(folder)`",
        );
        // Both may be missing, and both are worth telling.
        let (config, tokenizer) = match (config, tokenizer) {
            (Ok(config), Ok(tokenizer)) => (config, tokenizer),
            (config, tokenizer) => {
                return Err([config.err(), tokenizer.err()].into_iter().flatten().flatten().collect());
            }
        };
        Ok(ModelFiles {
            config,
            tokenizer,
            tokenizer_config: self.optional("tokenizer_config.json"),
            special_tokens_map: self.optional("special_tokens_map.json"),
            generation_config: self.optional("generation_config.json"),
            chat_template: self.optional("chat_template.jinja"),
            licences: licences(self.ctx, self.folder, self.names),
            licence_id: self.licence_id(),
        })
    }

    /// `license: mit` in the front matter of the model card.
    fn licence_id(&self) -> Option<String> {
        self.optional("README.md")?;
        let card = self.ctx.read(&joined(self.folder, "README.md")).ok()?;
        licence_id(&String::from_utf8_lossy(&card))
    }
}

/// The licence texts of a folder, each with the name that a bundle gives it.
pub(crate) fn licences(ctx: &dyn RuleContext, folder: &str, names: &[String]) -> Vec<(Source, String)> {
    let is_licence = |name: &&String| {
        let upper = name.to_uppercase();
        ["LICENSE", "LICENCE", "NOTICE", "COPYING", "USE_POLICY"].iter().any(|word| upper.starts_with(word))
    };
    names.iter().filter(is_licence).map(|name| (ctx.source(&joined(folder, name)), name.clone())).collect()
}

fn licence_id(card: &str) -> Option<String> {
    let front_matter = card.strip_prefix("---")?.split("\n---").next()?;
    let line = front_matter.lines().find_map(|line| line.strip_prefix("license:"))?;
    let id = line.trim().trim_matches(['"', '\'']);
    (!id.is_empty()).then(|| id.to_owned())
}

/// Compares what is stored with what the family needs.
struct Matching<'a> {
    place: Place,
    folder: &'a str,
    family: &'static dyn Family,
    is_tied: bool,
}

impl Matching<'_> {
    fn weights(
        &self,
        stored: &[StoredTensor],
        needed: &[(ModelTensor, Vec<u64>)],
    ) -> Result<Vec<Weight>, Vec<Fault>> {
        let mut faults = Vec::new();
        let mut weights = Vec::new();
        let mut unknown = Vec::new();
        for tensor in stored {
            match self.family.tensor(&tensor.name) {
                _ if self.family.ignored(&tensor.name) => {}
                // Some tools store the head of a tied model all the same.
                Some(ModelTensor::Output) if self.is_tied => {}
                Some(purpose) => match needed.iter().find(|(needed, _)| *needed == purpose) {
                    Some((_, shape)) => match self.weight(tensor, purpose, shape) {
                        Ok(weight) => weights.push(weight),
                        Err(fault) => faults.push(fault),
                    },
                    None => unknown.push(tensor.name.as_str()),
                },
                None => unknown.push(tensor.name.as_str()),
            }
        }
        if !unknown.is_empty() {
            let message = format!(
                "{} in `{}` without a place in a {} model of this configuration: {}",
                counted(unknown.len(), "tensor is", "tensors are"),
                self.folder,
                self.family.name(),
                listed(&unknown)
            );
            faults.push(
                Fault::new(self.place, "checkpoint::tensors", message)
                    .help("The weights and `config.json` must be of the same model"),
            );
        }
        let missing: Vec<String> = needed
            .iter()
            .filter(|(purpose, _)| {
                !stored.iter().any(|tensor| self.family.tensor(&tensor.name) == Some(*purpose))
            })
            .map(|(purpose, _)| self.family.checkpoint_name(*purpose).unwrap_or_else(|| purpose.to_string()))
            .collect();
        if !missing.is_empty() {
            let missing: Vec<&str> = missing.iter().map(String::as_str).collect();
            let message = format!(
                "{} not in `{}`, which the configuration asks for: {}",
                counted(missing.len(), "tensor is", "tensors are"),
                self.folder,
                listed(&missing)
            );
            faults.push(
                Fault::new(self.place, "checkpoint::tensors", message)
                    .help("Fetch all shards, and check `num_hidden_layers` and `tie_word_embeddings`"),
            );
        }
        if faults.is_empty() { Ok(weights) } else { Err(faults) }
    }

    fn weight(&self, tensor: &StoredTensor, purpose: ModelTensor, shape: &[u64]) -> Result<Weight, Fault> {
        let fault = |message: String| {
            Fault::new(self.place, "checkpoint::tensors", message).file(tensor.file.clone())
        };
        if tensor.shape != shape {
            return Err(fault(format!(
                "Tensor `{}` has shape {:?}; the configuration says {shape:?}",
                tensor.name, tensor.shape
            )));
        }
        if !tensor.dtype.is_weight() {
            return Err(fault(format!(
                "Tensor `{}` has type {}; expected F32, F16 or BF16",
                tensor.name, tensor.dtype
            ))
            .help("Save the model in 16 bits, unquantized"));
        }
        Ok(Weight {
            tensor: purpose,
            name: tensor.name.clone(),
            dtype: tensor.dtype,
            expression: TensorExpr::Load { input: 0, dtype: tensor.dtype, shape: tensor.shape.clone() },
            inputs: vec![Input::Source(tensor.source.clone())],
        })
    }
}

fn listed(names: &[&str]) -> String {
    let shown: Vec<String> = names.iter().take(MAX_LISTED).map(|name| format!("`{name}`")).collect();
    let more = names.len() - shown.len();
    if more == 0 { shown.join(", ") } else { format!("{} and {more} more", shown.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_licence_is_read_from_the_front_matter_only() {
        assert_eq!(licence_id("---\nlicense: mit\ntags: x\n---\n# A").as_deref(), Some("mit"));
        assert_eq!(licence_id("---\nlicense: \"llama3.2\"\n---\n").as_deref(), Some("llama3.2"));
        assert_eq!(licence_id("# A\nlicense: mit\n"), None);
        assert_eq!(licence_id("---\ntags: x\n---\nlicense: mit\n"), None);
    }

    #[test]
    fn long_lists_are_cut() {
        assert_eq!(listed(&["a", "b"]), "`a`, `b`");
        assert_eq!(listed(&["a", "b", "c", "d", "e", "f"]), "`a`, `b`, `c`, `d` and 2 more");
    }
}
