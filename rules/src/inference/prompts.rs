//! Converts user messages to ids with the model's chat template.

use mc_digest::digest::BlobDigest;
use mc_family::chat::{ChatTemplate, Message};
use mc_family::error::FamilyError;
use mc_family::tokenizer::parse_special::ParseSpecial;
use mc_ir::action::ActionError;

use crate::inference::opened::Opened;

/// Converts user messages to ids with the model's chat template.
pub(crate) struct Prompts<'a> {
    opened: &'a Opened,
    source: &'a str,
    template: ChatTemplate,
    begin: String,
    end: String,
}

impl<'a> Prompts<'a> {
    /// Reads the template.
    pub(crate) fn new(opened: &'a Opened) -> Result<Self, ActionError> {
        let source = opened.vocabulary.chat_template.as_deref().ok_or_else(|| {
            ActionError::failed("The model has no chat template").with_help(
                "Put `chat_template` into `tokenizer_config.json`, or beside it as `chat_template.jinja`",
            )
        })?;
        let token = |id: Option<u32>| {
            id.and_then(|id| opened.vocabulary.tokens.get(id as usize)).cloned().unwrap_or_default()
        };
        Ok(Self {
            opened,
            source,
            template: ChatTemplate::new(source, opened.template_place)
                .map_err(|error| refused(&error, source))?,
            begin: token(opened.vocabulary.special.bos),
            end: token(opened.vocabulary.special.eos),
        })
    }

    /// Returns the ids of one user message and of the beginning of the answer.
    pub(crate) fn ids(&self, user: &str) -> Result<Vec<u32>, ActionError> {
        self.ids_of(&[message(USER, user)])
    }

    /// Returns the ids of a conversation and of the beginning of the next answer.
    pub(crate) fn ids_of(&self, messages: &[Message]) -> Result<Vec<u32>, ActionError> {
        let text = self
            .template
            .render(messages, &self.begin, &self.end, true)
            .map_err(|error| refused(&error, self.source))?;
        let mut ids = self.opened.tokenizer.encode(&text, ParseSpecial::Yes).map_err(ActionError::failed)?;
        // Most templates write the begin token themselves; it must occur only once.
        if let Some(begin) = self.opened.begin()
            && ids.first() != Some(&begin)
        {
            ids.insert(0, begin);
        }
        Ok(ids)
    }
}

/// Role of the user's messages.
pub(crate) const USER: &str = "user";

/// Role of the model's messages.
pub(crate) const ASSISTANT: &str = "assistant";

/// Role of the system message.
pub(crate) const SYSTEM: &str = "system";

/// Creates a message with a role.
pub(crate) fn message(role: &str, content: &str) -> Message {
    Message { role: role.to_owned(), content: content.to_owned() }
}

/// Converts an error of a template. All models of one target contain the same template and may be measured in parallel,
/// so their failures share one cause.
fn refused(error: &FamilyError, source: &str) -> ActionError {
    ActionError::failed(error).with_cause(BlobDigest::of(source.as_bytes()).to_string())
}
