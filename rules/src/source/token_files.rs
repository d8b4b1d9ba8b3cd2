//! The files of a checkpoint that define its tokenizer, as inputs of an action.

use std::borrow::Cow;

use mc_decoder::program::Decoder;
use mc_decoder::vocabulary::Vocabulary;
use mc_family::error::FamilyError;
use mc_family::tokenizer::Tokenizer;
use mc_family::tokenizer::fidelity::Fidelity;
use mc_family::tokenizer::vocabulary::vocabulary;
use mc_family::tokenizer_files::TokenizerFiles;
use mc_ir::action::{ActionContext, ActionError, Content, Source};

use crate::exporters;
use crate::source::file_head::format_error;
use crate::source::model_info::{ADDITIONAL_CHAT_TEMPLATES, VOCABULARY};

/// The files' bytes, by role.
pub(crate) struct Contents(Vec<(String, Content)>);

impl Contents {
    /// Reads the files of these roles; they are inputs of the action from `first` on, in this order.
    pub(crate) fn of_roles<'a>(
        ctx: &dyn ActionContext,
        roles: impl IntoIterator<Item = &'a String>,
        first: usize,
    ) -> Result<Self, ActionError> {
        let read = |(index, role): (usize, &String)| Ok((role.clone(), ctx.input(index)?));
        (first..).zip(roles).map(read).collect::<Result<_, _>>().map(Self)
    }

    /// Reads the files; they are inputs of the action from `first` on, in this order.
    pub(crate) fn read_from(
        ctx: &dyn ActionContext,
        files: &[(String, Source)],
        first: usize,
    ) -> Result<Self, ActionError> {
        Self::of_roles(ctx, files.iter().map(|(role, _)| role), first)
    }

    /// Reads the files; they are the first inputs of the action, in this order.
    pub(crate) fn read(ctx: &dyn ActionContext, files: &[(String, Source)]) -> Result<Self, ActionError> {
        Self::read_from(ctx, files, 0)
    }

    /// Returns the bytes of a role's file.
    pub(crate) fn get(&self, role: &str) -> Option<Cow<'_, [u8]>> {
        self.0.iter().find(|(known, _)| known == role).map(|(_, content)| content.to_contiguous())
    }

    /// Returns the file or key that contains the chat template, in quotes: the first of those that may have
    /// one.
    pub(crate) fn template_place(&self) -> &'static str {
        if let Some(container) = self.get(VOCABULARY).and_then(|head| exporters::recognized(&head)) {
            return container.template_place();
        }
        let places =
            [("chat_template", "`chat_template.jinja`"), ("chat_template_json", "`chat_template.json`")];
        let found = places.into_iter().find(|(role, _)| self.0.iter().any(|(known, _)| known == role));
        found.map_or("`tokenizer_config.json`", |(_, place)| place)
    }

    /// Returns the vocabulary in the head of a container, if no Hugging Face file has one.
    ///
    /// # Errors
    /// Fails if the head is corrupt.
    fn of_container(&self) -> Result<Option<Vocabulary>, ActionError> {
        let Some(head) = self.get(VOCABULARY) else { return Ok(None) };
        exporters::vocabulary(&head).map(Some).map_err(format_error)
    }

    /// Calls `use_files` with the files by their names.
    fn with<T>(&self, use_files: impl FnOnce(&TokenizerFiles<'_>) -> T) -> T {
        let config = self.get("config");
        let [tokenizer, tokenizer_model, tokenizer_config, added_tokens] =
            ["tokenizer", "tokenizer_model", "tokenizer_config", "added_tokens"].map(|role| self.get(role));
        let [special_tokens_map, generation_config, chat_template, chat_template_json] =
            ["special_tokens_map", "generation_config", "chat_template", "chat_template_json"]
                .map(|role| self.get(role));
        let additional: Vec<(&str, Cow<'_, [u8]>)> = self
            .0
            .iter()
            .filter_map(|(role, content)| {
                let name = role.strip_prefix(ADDITIONAL_CHAT_TEMPLATES)?.strip_prefix('/')?;
                Some((name, content.to_contiguous()))
            })
            .collect();
        let additional: Vec<(&str, &[u8])> =
            additional.iter().map(|(name, bytes)| (*name, bytes.as_ref())).collect();
        use_files(&TokenizerFiles {
            config: config.as_deref().unwrap_or(b"{}"),
            tokenizer: tokenizer.as_deref(),
            tokenizer_model: tokenizer_model.as_deref(),
            tokenizer_config: tokenizer_config.as_deref(),
            added_tokens: added_tokens.as_deref(),
            special_tokens_map: special_tokens_map.as_deref(),
            generation_config: generation_config.as_deref(),
            chat_template: chat_template.as_deref(),
            chat_template_json: chat_template_json.as_deref(),
            additional_chat_templates: &additional,
        })
    }
}

/// Reads the vocabulary in the files of a model that computes `decoder`.
///
/// # Errors
/// Fails if one of the files is not understood.
pub(crate) fn vocabulary_of(contents: &Contents, decoder: &Decoder) -> Result<Vocabulary, ActionError> {
    if let Some(vocabulary) = contents.of_container()? {
        return Ok(vocabulary);
    }
    understood(contents.with(|files| vocabulary(files, decoder.n_vocab, &decoder.family)))
}

/// Reads the tokenizer in the files.
///
/// # Errors
/// Fails if it is not understood.
pub(crate) fn tokenizer_of(contents: &Contents, decoder: &Decoder) -> Result<Tokenizer, ActionError> {
    if let Some(vocabulary) = contents.of_container()? {
        return understood(Tokenizer::from_vocabulary(&vocabulary));
    }
    understood(contents.with(|files| Tokenizer::from_files(files, decoder.n_vocab, &decoder.family)))
}

/// Reads the files' tokenizer, for comparison with the vocabulary of a container.
///
/// # Errors
/// Fails if one of them is not understood.
pub(crate) fn fidelity_of(
    contents: &Contents,
    decoder: &Decoder,
    container: &Vocabulary,
) -> Result<Fidelity, ActionError> {
    understood(contents.with(|files| Fidelity::new(files, decoder.n_vocab, &decoder.family, container)))
}

fn understood<T>(result: Result<T, FamilyError>) -> Result<T, ActionError> {
    result.map_err(ActionError::failed)
}
