//! The files of a checkpoint that say how text becomes tokens, as inputs of an action.

use std::borrow::Cow;

use mc_decoder::vocabulary::Vocabulary;
use mc_family::tokenizer::Tokenizer;
use mc_family::vocabulary::{TokenizerFiles, vocabulary};
use mc_ir::action::{ActionContext, ActionError, Content, Source};

/// The files' bytes, by role.
pub(crate) struct Contents(Vec<(&'static str, Content)>);

impl Contents {
    /// Reads the files, which are the first inputs of the action, in this order.
    pub(crate) fn read(
        ctx: &dyn ActionContext,
        files: &[(&'static str, Source)],
    ) -> Result<Self, ActionError> {
        let read = |(index, (role, _)): (usize, &(&'static str, Source))| Ok((*role, ctx.input(index)?));
        files.iter().enumerate().map(read).collect::<Result<_, _>>().map(Self)
    }

    /// The bytes of a role's file.
    pub(crate) fn get(&self, role: &str) -> Option<Cow<'_, [u8]>> {
        self.0.iter().find(|(known, _)| *known == role).map(|(_, content)| content.to_contiguous())
    }
}

/// The vocabulary in the files.
///
/// # Errors
/// When one of the files cannot be understood.
pub(crate) fn vocabulary_of(contents: &Contents, n_vocab: u32) -> Result<Vocabulary, ActionError> {
    let bytes = |role| contents.get(role);
    let (config, tokenizer) = (bytes("config"), bytes("tokenizer"));
    let optional =
        ["tokenizer_config", "special_tokens_map", "generation_config", "chat_template"].map(bytes);
    let [tokenizer_config, special_tokens_map, generation_config, chat_template] = &optional;
    let files = TokenizerFiles {
        config: config.as_deref().unwrap_or_default(),
        tokenizer: tokenizer.as_deref().unwrap_or_default(),
        tokenizer_config: tokenizer_config.as_deref(),
        special_tokens_map: special_tokens_map.as_deref(),
        generation_config: generation_config.as_deref(),
        chat_template: chat_template.as_deref(),
    };
    vocabulary(&files, n_vocab).map_err(ActionError::failed)
}

/// The tokenizer in the files.
///
/// # Errors
/// When it cannot be understood.
pub(crate) fn tokenizer_of(contents: &Contents) -> Result<Tokenizer, ActionError> {
    Tokenizer::from_json(&contents.get("tokenizer").unwrap_or_default()).map_err(ActionError::failed)
}
