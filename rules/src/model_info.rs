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
    /// `tokenizer.json`.
    pub tokenizer: Source,
    /// `tokenizer_config.json`.
    pub tokenizer_config: Option<Source>,
    /// `special_tokens_map.json`.
    pub special_tokens_map: Option<Source>,
    /// `generation_config.json`.
    pub generation_config: Option<Source>,
    /// `chat_template.jinja`.
    pub chat_template: Option<Source>,
    /// Licence texts: the file, and the name that a bundle gives it.
    pub licences: Vec<(Source, String)>,
    /// The licence's short name, from the front matter of `README.md`.
    pub licence_id: Option<String>,
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
    pub fn tokenizer_sources(&self) -> Vec<(&'static str, Source)> {
        let optional = [
            ("tokenizer_config", &self.tokenizer_config),
            ("special_tokens_map", &self.special_tokens_map),
            ("generation_config", &self.generation_config),
            ("chat_template", &self.chat_template),
        ];
        let mut sources = vec![("config", self.config.clone()), ("tokenizer", self.tokenizer.clone())];
        sources.extend(optional.into_iter().filter_map(|(role, source)| Some((role, source.clone()?))));
        sources
    }
}
