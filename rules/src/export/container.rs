//! The step that makes a GGUF file of its tensors: it writes the head and joins the blobs.

use std::collections::BTreeMap;

use mc_digest::digest::BlobDigest;
use mc_digest::hasher::Hasher;
use mc_encoding::recipes::recipe::Recipe;
use mc_gguf::key_writer::Keys;
use mc_gguf::keys::{keys, size_label};
use mc_gguf::layout::{Layout, TensorPlan};
use mc_gguf::model_facts::{ModelFacts, SamplingDefaults};
use mc_gguf::reader::Gguf;
use mc_gguf::value::Value;
use mc_ir::action::{
    Action, ActionContext, ActionError, ActionKind, Input, OutputReader, head_pieces, write_bytes,
};
use mc_ir::output::{Output, Outputs};
use mc_ir::parameters::{Parameters, list};

use crate::calibrate::imatrix::ImatrixInfo;
use crate::export::gguf_keys;
use crate::export::tensor_steps::Planned;
use crate::quantize::gguf_copy::COPY;
use crate::quantize::tensor_report;
use crate::source::gguf_head;
use crate::source::model_info::{HEAD, ModelInfo};
use crate::source::token_files::{Contents, vocabulary_of};

/// The output that holds the model.
pub(crate) const MODEL_FILE: &str = "model.gguf";

/// The output that holds the reports of its tensors.
pub(crate) const REPORTS_FILE: &str = "tensors.json";

/// Where tensors begin, in bytes.
pub(crate) const ALIGNMENT: u64 = 32;

/// Writes the head of a GGUF.
pub(crate) struct Container {
    name: String,
    model: ModelInfo,
    /// None where a GGUF is copied.
    recipe: Option<&'static Recipe>,
    imatrix: Option<String>,
    plans: Vec<TensorPlan>,
}

impl Container {
    /// A file of these tensors.
    pub(crate) fn new(
        name: &str,
        recipe: Option<&'static Recipe>,
        model: &ModelInfo,
        imatrix: Option<&ImatrixInfo>,
        planned: &[Planned],
    ) -> Self {
        Self {
            name: name.to_owned(),
            model: model.clone(),
            recipe,
            imatrix: imatrix.map(|imatrix| {
                imatrix.calibration.as_ref().map_or_else(|| imatrix.name.clone(), |data| data.name.clone())
            }),
            plans: planned.iter().map(|tensor| tensor.plan.clone()).collect(),
        }
    }

    fn recipe_name(&self) -> &'static str {
        self.recipe.map_or(COPY, |recipe| recipe.name)
    }

    /// The tokenizer's files, then the sources of the weights for the lineage, then the tensors, then their reports.
    pub(crate) fn inputs(&self, model: &ModelInfo, planned: &[Planned]) -> Vec<Input> {
        let files = model.files.tokenizer_sources().into_iter().map(|(_, source)| Input::Source(source));
        let sources = model.lineage.iter().flat_map(|lineage| &lineage.tensors);
        let sources = sources.map(|(_, source)| Input::Source(source.clone()));
        let tensors = planned.iter().map(|tensor| Input::Artifact(tensor.artifact.clone()));
        let reports = planned.iter().map(|tensor| Input::Artifact(tensor.report.clone()));
        files.chain(sources).chain(tensors).chain(reports).collect()
    }

    /// One digest over all tensors of a source, whatever files they are spread over.
    fn lineage(&self, ctx: &dyn ActionContext, first: usize) -> Vec<(String, Value)> {
        let mut keys = Vec::new();
        let mut input = first;
        for lineage in self.model.lineage.iter() {
            let mut digests = BTreeMap::new();
            for (name, _) in &lineage.tensors {
                digests.insert(name.as_str(), ctx.input_digest(input));
                input += 1;
            }
            let mut hasher = Hasher::new();
            for (name, digest) in digests {
                for part in digest.parts() {
                    hasher.update(format!("{name} {part}\n").as_bytes());
                }
            }
            let digest = hasher.finish().hash;
            keys.push((format!("mc.source.{}.name", lineage.role), Value::Text(lineage.label.name.clone())));
            keys.push((
                format!("mc.source.{}.digest", lineage.role),
                Value::Text(format!("blake3:{digest}")),
            ));
        }
        keys
    }

    fn keys(&self, ctx: &dyn ActionContext) -> Result<Keys, ActionError> {
        let files = self.model.files.tokenizer_sources();
        let contents = Contents::read(ctx, &files)?;
        let head = contents.get(HEAD).map(|head| gguf_head::parse(&head)).transpose()?;
        let mut keys = match (head, self.recipe) {
            (Some(head), Some(recipe)) => self.keys_of_head(&head, recipe, &contents)?,
            (Some(head), None) => return Ok(gguf_keys::copied(&head)),
            (None, Some(recipe)) => self.keys_of_files(recipe, &contents)?,
            (None, None) => return Err(ActionError::failed("Only the keys of a GGUF can be copied")),
        };
        keys.push(("mc.version".to_owned(), Value::Text(env!("CARGO_PKG_VERSION").to_owned())));
        keys.push(("mc.recipe".to_owned(), Value::Text(self.recipe_name().to_owned())));
        if let Some(imatrix) = &self.imatrix {
            keys.push(("mc.imatrix".to_owned(), Value::Text(imatrix.clone())));
        }
        keys.extend(self.lineage(ctx, files.len()));
        Ok(keys)
    }

    /// The checkpoint that the model was trained further from.
    fn base_model(&self) -> Option<&str> {
        let lineage = self.model.lineage.first().filter(|_| self.model.lineage.len() > 1);
        lineage.map(|lineage| lineage.label.name.as_str())
    }

    /// The keys of a model that was read from a GGUF.
    fn keys_of_head(&self, head: &Gguf, recipe: &Recipe, contents: &Contents) -> Result<Keys, ActionError> {
        // Only an adapter or a blend brings another vocabulary.
        let is_own = self.model.files.vocabulary == self.model.files.head;
        let vocabulary = (!is_own).then(|| vocabulary_of(contents, &self.model.decoder)).transpose()?;
        let changes = gguf_keys::Changes {
            name: &self.name,
            file_type: recipe.file_type,
            is_quantized: recipe.default.block_len > 1,
            base_model: self.base_model(),
            decoder: &self.model.decoder,
            vocabulary: vocabulary.as_ref(),
        };
        changes.keys(head)
    }

    /// The keys of a model of Hugging Face.
    fn keys_of_files(&self, recipe: &Recipe, contents: &Contents) -> Result<Keys, ActionError> {
        let vocabulary = vocabulary_of(contents, &self.model.decoder)?;
        let json = |role: &str| {
            contents.get(role).and_then(|bytes| serde_json::from_slice::<serde_json::Value>(&bytes).ok())
        };
        let has_head_dim =
            json("config").is_some_and(|config| config.get("head_dim").is_some_and(|dim| !dim.is_null()));
        let is_quantized = recipe.default.block_len > 1;
        let facts = ModelFacts {
            name: self.name.clone(),
            quantized_by: is_quantized.then(|| "mc".to_owned()),
            license: self.model.files.licence_id.clone(),
            base_model: self.base_model().map(str::to_owned),
            size_label: size_label(&self.plans),
            file_type: recipe.file_type,
            has_head_dim,
            sampling: json("generation_config").map(|config| sampling(&config)).unwrap_or_default(),
        };
        Ok(keys(&self.model.decoder, &vocabulary, &facts))
    }
}

/// What the model's makers advise. The converter takes the file's numbers as they are.
fn sampling(config: &serde_json::Value) -> SamplingDefaults {
    let number = |key: &str| config.get(key).and_then(serde_json::Value::as_f64);
    SamplingDefaults {
        top_k: number("top_k").map(|number| number as i32),
        top_p: number("top_p").map(|number| number as f32),
        min_p: number("min_p").map(|number| number as f32),
        temperature: number("temperature").map(|number| number as f32),
        repetition_penalty: number("repetition_penalty").map(|number| number as f32),
    }
}

/// Adds the type and the dimensions of a tensor.
pub(crate) fn with_plan(parameters: Parameters, plan: &TensorPlan) -> Parameters {
    parameters.text(&plan.name, format_args!("{} {}", plan.kind.name, list(&plan.dims)))
}

impl Action for Container {
    fn kind(&self) -> ActionKind {
        ActionKind { name: "gguf", version: 3 }
    }

    fn parameters(&self) -> Vec<(String, String)> {
        let roles: Vec<String> =
            self.model.files.tokenizer_sources().into_iter().map(|(role, _)| role).collect();
        let mut parameters = Parameters::new()
            .text("name", &self.name)
            .text("recipe", self.recipe_name())
            .text("tool", env!("CARGO_PKG_VERSION"))
            .text("files", roles.join(" "))
            .option("license", self.model.files.licence_id.as_ref())
            .option("imatrix", self.imatrix.as_ref())
            // The configuration's bytes are an input, but how we read them may change.
            .content("decoder", &self.model.decoder);
        for lineage in self.model.lineage.iter() {
            let names: Vec<&str> = lineage.tensors.iter().map(|(name, _)| name.as_str()).collect();
            let names = format!("{} {}", lineage.label.name, names.join(" "));
            parameters = parameters.text(&lineage.role, names);
        }
        self.plans.iter().fold(parameters, with_plan).into_pairs()
    }

    fn outputs(&self) -> Vec<String> {
        vec![MODEL_FILE.to_owned(), REPORTS_FILE.to_owned()]
    }

    fn reader(&self, output: &str) -> Option<OutputReader> {
        let reader: OutputReader =
            |bytes| tensor_report::read(bytes).map(drop).map_err(|error| error.to_string());
        (output == REPORTS_FILE).then_some(reader)
    }

    fn describe(&self) -> String {
        format!("{} {}", self.name, self.recipe_name())
    }

    fn run(&self, ctx: &dyn ActionContext) -> Result<Outputs, ActionError> {
        let layout = Layout::new(&self.keys(ctx)?, &self.plans, ALIGNMENT);
        let n_sources: usize = self.model.lineage.iter().map(|lineage| lineage.tensors.len()).sum();
        let first = self.model.files.tokenizer_sources().len() + n_sources;
        let head = head_pieces(&layout.head).into_iter().map(|piece| write_bytes(ctx, piece));
        let mut parts = head.collect::<Result<Vec<_>, _>>()?;
        let mut paddings: BTreeMap<u64, BlobDigest> = BTreeMap::new();
        for (index, stretch) in layout.tensors.iter().enumerate() {
            let digest = ctx.input_digest(first + index);
            if digest.n_bytes() != stretch.n_bytes {
                return Err(ActionError::failed(format!(
                    "Tensor `{}` has {} bytes; its place has {}",
                    self.plans[index].name,
                    digest.n_bytes(),
                    stretch.n_bytes
                )));
            }
            parts.extend(digest.parts());
            if stretch.padding > 0 {
                let padding = match paddings.get(&stretch.padding) {
                    Some(known) => *known,
                    None => write_bytes(ctx, &vec![0; stretch.padding as usize])?,
                };
                paddings.insert(stretch.padding, padding);
                parts.push(padding);
            }
        }
        let mut reports = Vec::new();
        for (index, plan) in self.plans.iter().enumerate() {
            let report = ctx.input(first + self.plans.len() + index)?;
            reports.push((plan.name.as_str(), report.to_contiguous().into_owned()));
        }
        let reports = tensor_report::join(reports.into_iter()).map_err(ActionError::failed)?;
        let reports = write_bytes(ctx, &reports)?;
        Ok(Outputs::from([
            (MODEL_FILE.to_owned(), Output::Composite(parts)),
            (REPORTS_FILE.to_owned(), Output::File(reports)),
        ]))
    }
}
