//! The facts about a model that a bundle's documents state: read from its file if the file describes itself, otherwise
//! from the files of its checkpoint, which ship beside it.

use mc_decoder::program::Decoder;
use mc_decoder::vocabulary::Vocabulary;
use mc_digest::content_hash::ContentHash;
use mc_ir::action::{ActionContext, ActionError, Input};

use crate::exporters;
use crate::source::file_head;
use crate::source::model_info::ModelInfo;
use crate::source::token_files::{Contents, vocabulary_of};

/// The facts about a model.
pub(crate) struct ShippedModel {
    /// The name of its architecture.
    pub(crate) architecture: String,
    /// Number of tokens of its training context.
    pub(crate) context_length: u32,
    /// Its vocabulary.
    pub(crate) vocabulary: Vocabulary,
    /// The file or key that contains its chat template, in quotes.
    pub(crate) template_place: &'static str,
}

/// The source of the facts about a model whose file does not describe itself.
#[derive(Clone, ContentHash, Debug)]
#[content("described-model")]
pub(crate) struct Described {
    /// The roles of the checkpoint's files, which are inputs in this order.
    #[content("roles")]
    roles: Vec<String>,
    /// The model's program.
    #[content("program")]
    program: Decoder,
}

impl Described {
    /// The source of the facts; `None` if files of the format describe themselves.
    pub(crate) fn of(format: &str, model: &ModelInfo) -> Option<Self> {
        let exporter = exporters::by_name(format)?;
        exporter.container().is_none().then(|| Self {
            roles: model.files.tokenizer_sources().into_iter().map(|(role, _)| role).collect(),
            program: model.decoder.clone(),
        })
    }

    /// The files of the checkpoint, as inputs.
    pub(crate) fn inputs(model: &ModelInfo) -> Vec<Input> {
        model.files.tokenizer_sources().into_iter().map(|(_, source)| Input::Source(source)).collect()
    }

    /// Reads the files.
    ///
    /// * `first`: the index of the first file among the inputs
    pub(crate) fn read(&self, ctx: &dyn ActionContext, first: usize) -> Result<ShippedModel, ActionError> {
        let contents = Contents::of_roles(ctx, &self.roles, first)?;
        let config = contents.get("config");
        let config = config.and_then(|bytes| serde_json::from_slice::<serde_json::Value>(&bytes).ok());
        let stated = config.as_ref().and_then(|config| config.get("architectures")?.get(0)?.as_str());
        Ok(ShippedModel {
            architecture: stated.unwrap_or(&self.program.family).to_owned(),
            context_length: self.program.context_length,
            vocabulary: vocabulary_of(&contents, &self.program)?,
            template_place: contents.template_place(),
        })
    }
}

impl ShippedModel {
    /// Reads the facts in a file that describes itself.
    ///
    /// * `index`: its index among the inputs
    pub(crate) fn of_file(ctx: &dyn ActionContext, index: usize) -> Result<Self, ActionError> {
        let content = ctx.input(index)?;
        let file = file_head::open(&content)?;
        Ok(Self {
            architecture: file.architecture,
            context_length: file.decoder.context_length,
            vocabulary: file.vocabulary,
            template_place: file_head::template_place(&content),
        })
    }
}
