//! What a checkpoint or a merge tells those who read it: the model as a program, its weights as expressions, and the
//! files around them.
//!
//! No weight is here: an expression says which bytes of which file, and what is done to them.

use std::sync::Arc;

use mc_decoder::program::Decoder;
use mc_ir::action::{Input, Source};
use mc_ir::expression::TensorExpr;
use mc_ir::label::Label;
use mc_tensor::dtype::DType;
use mc_tensor::model_tensor::ModelTensor;

/// The folder in a checkpoint with further chat templates.
pub(crate) const ADDITIONAL_CHAT_TEMPLATES: &str = "additional_chat_templates";

/// A model that has not been quantized.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelInfo {
    /// What the model is called in the files that we write.
    pub name: String,
    /// What its checkpoint is called elsewhere: in its own configuration, and as a folder.
    pub known_as: Vec<String>,
    /// Whether its weights were quantized before: what is made of them has lost something already.
    pub is_quantized: bool,
    /// The family that it is of: [`mc_family::families::by_name`].
    pub family: &'static str,
    /// What it computes; rotary pairs as in the checkpoint.
    pub decoder: Decoder,
    /// Its weights, in the order of the checkpoint.
    pub weights: Arc<[Weight]>,
    /// The other files of the checkpoint.
    pub files: ModelFiles,
    /// The sources that the weights are made of, by role, for the lineage.
    pub lineage: Arc<[Lineage]>,
}

/// One weight of a model.
#[derive(Clone, Debug, PartialEq)]
pub struct Weight {
    /// What it is for.
    pub tensor: ModelTensor,
    /// Which expert's part of that it is, where a checkpoint stores each expert by itself.
    pub part: Option<u32>,
    /// Its name in the checkpoint.
    pub name: String,
    /// The type that the checkpoint stores it in; F32 where that needs scales.
    pub dtype: DType,
    /// How it comes from `inputs`.
    pub expression: TensorExpr,
    /// What the expression reads.
    pub inputs: Vec<Input>,
}

/// The files of a checkpoint that are not weights.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelFiles {
    /// `config.json`.
    pub config: Source,
    /// `tokenizer.json`; it or `tokenizer_model` is there.
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
    /// The files of `additional_chat_templates`, each with its name.
    pub additional_chat_templates: Vec<(String, Source)>,
    /// Licence texts: the file, and the name that a bundle gives it.
    pub licences: Vec<(Source, String)>,
    /// The licence's short name, from the front matter of `README.md`.
    pub licence_id: Option<String>,
}

#[cfg(test)]
impl ModelFiles {
    /// A configuration and a tokenizer, and no more.
    pub(crate) fn of(config: Source, tokenizer: Source) -> Self {
        Self {
            config,
            tokenizer: Some(tokenizer),
            tokenizer_model: None,
            tokenizer_config: None,
            added_tokens: None,
            special_tokens_map: None,
            generation_config: None,
            chat_template: None,
            chat_template_json: None,
            additional_chat_templates: Vec::new(),
            licences: Vec::new(),
            licence_id: None,
        }
    }
}

/// One checkpoint or adapter that a model is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lineage {
    /// `base`, or `adapter.0` and so on.
    pub role: String,
    /// Its target.
    pub label: Label,
    /// Its tensors: name in the file, and where the bytes are.
    pub tensors: Vec<(String, Source)>,
}

impl Weight {
    /// The weight's shape, slowest dimension first.
    pub fn shape(&self) -> Vec<u64> {
        self.expression.shape()
    }
}

impl ModelInfo {
    /// The weight for a purpose.
    pub fn weight(&self, tensor: ModelTensor) -> Option<&Weight> {
        self.weights.iter().find(|weight| weight.tensor == tensor)
    }

    /// How many numbers the model has; a tied head counts once.
    pub fn n_parameters(&self) -> u64 {
        self.weights.iter().map(|weight| weight.shape().iter().product::<u64>()).sum()
    }
}

impl ModelFiles {
    /// The files that say how text becomes tokens, in a fixed order with their roles.
    ///
    /// The role of an additional chat template is its path in the folder.
    pub fn tokenizer_sources(&self) -> Vec<(String, Source)> {
        let optional = [
            ("tokenizer", &self.tokenizer),
            ("tokenizer_model", &self.tokenizer_model),
            ("tokenizer_config", &self.tokenizer_config),
            ("added_tokens", &self.added_tokens),
            ("special_tokens_map", &self.special_tokens_map),
            ("generation_config", &self.generation_config),
            ("chat_template", &self.chat_template),
            ("chat_template_json", &self.chat_template_json),
        ];
        let mut sources = vec![("config".to_owned(), self.config.clone())];
        sources.extend(
            optional.into_iter().filter_map(|(role, source)| Some((role.to_owned(), source.clone()?))),
        );
        let role = |name: &str| format!("{ADDITIONAL_CHAT_TEMPLATES}/{name}");
        sources
            .extend(self.additional_chat_templates.iter().map(|(name, source)| (role(name), source.clone())));
        sources
    }
}
