//! Provider of a checkpoint or a merge: the model as a program, its weights as expressions, and the files
//! around them.
//!
//! It holds no weights: an expression names the bytes of a file and the operations on them.

use std::sync::Arc;

use mc_decoder::program::Decoder;
use mc_expression::expression::TensorExpr;
use mc_ir::action::{Input, Source};
use mc_ir::label::Label;
use mc_tensor::dtype::DType;
use mc_tensor::model_tensor::ModelTensor;

use crate::source::about::{About, Published};

/// The folder in a checkpoint with further chat templates.
pub(crate) const ADDITIONAL_CHAT_TEMPLATES: &str = "additional_chat_templates";

/// The role of [`ModelFiles::head`].
pub(crate) const HEAD: &str = "head";
/// The role of [`ModelFiles::vocabulary`].
pub(crate) const VOCABULARY: &str = "vocabulary";

/// A model as other rules see it, independent of its source format.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelInfo {
    /// The name of its target, for messages and measurements.
    pub name: String,
    /// The published facts about it.
    pub about: Arc<About>,
    /// Other names of its checkpoint: the one in its configuration, and that of its folder.
    pub known_as: Vec<String>,
    /// True if its weights were quantized before, so they have lost precision already.
    pub is_quantized: bool,
    /// Its family: [`mc_family::families::by_name`].
    pub family: &'static str,
    /// Its program; rotary pairs as in the checkpoint.
    pub decoder: Decoder,
    /// Its weights, in the order of the checkpoint.
    pub weights: Arc<[Weight]>,
    /// Rotary factors that a container stores as tensors; the family computes those of a configuration.
    pub factors: Arc<[Weight]>,
    /// The other files of the checkpoint.
    pub files: ModelFiles,
    /// The sources of the weights, by role, for the lineage.
    pub lineage: Arc<[Lineage]>,
}

/// One weight of a model.
#[derive(Clone, Debug, PartialEq)]
pub struct Weight {
    /// Its purpose.
    pub tensor: ModelTensor,
    /// Index of the expert, if the checkpoint stores each expert separately.
    pub part: Option<u32>,
    /// Its name in the checkpoint.
    pub name: String,
    /// The type in the checkpoint; F32 if the weight needs scales.
    pub dtype: DType,
    /// Its value as a function of `inputs`.
    pub expression: TensorExpr,
    /// The inputs of the expression.
    pub inputs: Vec<Input>,
}

/// The head of a container that holds a whole model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileHead {
    /// The format: [`crate::exporters::by_name`].
    pub format: &'static str,
    /// The recipe that it names, if that is known.
    pub recipe: Option<&'static str>,
    /// Its bytes.
    pub source: Source,
}

/// The files of a checkpoint that are not weights.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ModelFiles {
    /// `config.json`; either this or `head` is present.
    pub config: Option<Source>,
    /// The head of the container from which the model was read; its keys are copied to files of the same
    /// format.
    pub head: Option<FileHead>,
    /// The head of a container with the vocabulary, if no Hugging Face file has it.
    pub vocabulary: Option<Source>,
    /// `tokenizer.json`; this, `tokenizer_model` or `vocabulary` is present.
    pub tokenizer: Option<Source>,
    /// `tokenizer.model`.
    pub tokenizer_model: Option<Source>,
    /// `tokenizer_config.json`.
    pub tokenizer_config: Option<Source>,
    /// `added_tokens.json`.
    pub added_tokens: Option<Source>,
    /// `special_tokens_map.json`.
    pub special_tokens_map: Option<Source>,
    /// `generation_config.json`.
    pub generation_config: Option<Source>,
    /// `chat_template.jinja`.
    pub chat_template: Option<Source>,
    /// `chat_template.json`.
    pub chat_template_json: Option<Source>,
    /// The files in `additional_chat_templates`, each with its name.
    pub additional_chat_templates: Vec<(String, Source)>,
    /// License texts: the file, and the name that a bundle gives it.
    pub licenses: Vec<(Source, String)>,
}

#[cfg(test)]
impl ModelFiles {
    /// Creates the set of a configuration and a tokenizer only.
    pub(crate) fn of(config: Source, tokenizer: Source) -> Self {
        Self { config: Some(config), tokenizer: Some(tokenizer), ..Self::default() }
    }
}

/// One checkpoint or adapter from which a model is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lineage {
    /// `base`, or `adapter.0` and so on.
    pub role: String,
    /// Its target.
    pub label: Label,
    /// The published facts about it.
    pub published: Published,
    /// Its tensors: the name in the file, and the location of the bytes.
    pub tensors: Vec<(String, Source)>,
}

impl Lineage {
    /// Returns true for a checkpoint, false for an adapter.
    pub fn is_checkpoint(&self) -> bool {
        !self.role.split('.').any(|part| part == "adapter")
    }
}

impl Weight {
    /// Returns the weight's shape, slowest dimension first.
    pub fn shape(&self) -> Vec<u64> {
        self.expression.shape()
    }
}

impl ModelInfo {
    /// Returns the weight for a purpose.
    pub fn weight(&self, tensor: ModelTensor) -> Option<&Weight> {
        self.weights.iter().find(|weight| weight.tensor == tensor)
    }

    /// Returns the name of a tensor, or of its first part, in the checkpoint.
    pub fn name_of(&self, tensor: ModelTensor) -> String {
        self.weight(tensor).map_or_else(|| tensor.to_string(), |weight| weight.name.clone())
    }

    /// Returns the number of parameters; a tied head counts once.
    pub fn n_parameters(&self) -> u64 {
        self.weights.iter().map(|weight| weight.shape().iter().product::<u64>()).sum()
    }
}

/// The roles of files that have one name in every checkpoint.
const FILE_NAMES: [(&str, &str); 9] = [
    ("config", "config.json"),
    ("tokenizer", "tokenizer.json"),
    ("tokenizer_model", "tokenizer.model"),
    ("tokenizer_config", "tokenizer_config.json"),
    ("added_tokens", "added_tokens.json"),
    ("special_tokens_map", "special_tokens_map.json"),
    ("generation_config", "generation_config.json"),
    ("chat_template", "chat_template.jinja"),
    ("chat_template_json", "chat_template.json"),
];

/// Returns the path of a role's file in a checkpoint; `None` for the head of a container.
pub(crate) fn file_name_of(role: &str) -> Option<&str> {
    let known = FILE_NAMES.iter().find(|(known, _)| *known == role).map(|(_, name)| *name);
    // The role of an additional chat template is its path.
    known.or_else(|| role.starts_with(ADDITIONAL_CHAT_TEMPLATES).then_some(role))
}

impl ModelFiles {
    /// Returns the files that define the tokenizer, in a fixed order, with their roles.
    ///
    /// The role of an additional chat template is its path in the folder.
    pub fn tokenizer_sources(&self) -> Vec<(String, Source)> {
        let optional = [
            ("config", &self.config),
            (HEAD, &self.head.as_ref().map(|head| head.source.clone())),
            (VOCABULARY, &self.vocabulary),
            ("tokenizer", &self.tokenizer),
            ("tokenizer_model", &self.tokenizer_model),
            ("tokenizer_config", &self.tokenizer_config),
            ("added_tokens", &self.added_tokens),
            ("special_tokens_map", &self.special_tokens_map),
            ("generation_config", &self.generation_config),
            ("chat_template", &self.chat_template),
            ("chat_template_json", &self.chat_template_json),
        ];
        let sources =
            optional.into_iter().filter_map(|(role, source)| Some((role.to_owned(), source.clone()?)));
        let mut sources: Vec<(String, Source)> = sources.collect();
        let role = |name: &str| format!("{ADDITIONAL_CHAT_TEMPLATES}/{name}");
        sources
            .extend(self.additional_chat_templates.iter().map(|(name, source)| (role(name), source.clone())));
        sources
    }
}
