//! A model as formats see it. Everything that a format needs to know about a model is a field here.

use mc_decoder::program::Decoder;
use mc_decoder::vocabulary::Vocabulary;
use mc_tensor::model_tensor::ModelTensor;
use mc_tensor::stored::Stored;

use crate::export_settings::ExportSettings;
use crate::model_facts::ModelFacts;
use crate::source_file::SourceFile;

/// A model to write.
#[derive(Clone, Copy, Debug)]
pub struct ModelDescription<'a> {
    /// Its computation, with rotary pairs as in its checkpoint.
    pub decoder: &'a Decoder,
    /// Its vocabulary, which is read at execution; `None` at analysis, and if it is that of `origin`.
    pub vocabulary: Option<&'a Vocabulary>,
    /// Further facts; `None` at analysis.
    pub facts: Option<&'a ModelFacts>,
    /// The head of the file that the model was read from, if that had the same format. It may contain keys that are
    /// unknown elsewhere.
    pub origin: Option<&'a [u8]>,
    /// The files of the checkpoint besides its weights.
    pub files: &'a [SourceFile<'a>],
    /// The settings of the target.
    pub settings: &'a ExportSettings,
}

impl<'a> ModelDescription<'a> {
    /// Describes a model at analysis.
    pub fn new(decoder: &'a Decoder) -> Self {
        Self {
            decoder,
            vocabulary: None,
            facts: None,
            origin: None,
            files: &[],
            settings: ExportSettings::NONE,
        }
    }

    /// The contents of a file of the checkpoint; `None` at analysis, or if there is no such file.
    pub fn file(&self, name: &str) -> Option<&'a [u8]> {
        self.files.iter().find(|file| file.name == name).and_then(|file| file.bytes)
    }

    /// Returns true if the checkpoint has a file with this name.
    pub fn has_file(&self, name: &str) -> bool {
        self.files.iter().any(|file| file.name == name)
    }
}

/// A tensor of a model, as in its checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TensorDescription {
    /// Its purpose.
    pub tensor: ModelTensor,
    /// The way in which the checkpoint stores its numbers.
    pub stored: Stored,
}
