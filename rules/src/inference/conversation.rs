//! A conversation with a model: messages in turn, rendered by the model's chat template.
//!
//! The template renders the whole conversation each time, because it may write earlier messages otherwise than the last
//! one. The tokens that the rendering has in common with the one before are not computed again: their keys and values
//! are still in the cache.
//!
//! This module shows nothing and reads no input.

use std::ops::ControlFlow;

use mc_family::chat::Message;
use mc_ir::action::ActionError;
use mc_runtime::cancellation::Cancellation;
use mc_runtime::error::RuntimeError;
use mc_runtime::generate::{StopReason, generate_after};
use mc_runtime::kv_cache::KvCache;

use crate::inference::chat::{ChatModel, ChatOptions, Pieces};
use crate::inference::opened::Opened;
use crate::inference::prompts::{ASSISTANT, Prompts, SYSTEM, USER, message};

/// A conversation with a model.
pub struct Conversation<'a> {
    opened: &'a Opened,
    prompts: Prompts<'a>,
    system: Option<String>,
    /// Messages of the user and of the model in turn.
    messages: Vec<Message>,
    cache: KvCache,
    /// The tokens that the cache holds.
    cached: Vec<u32>,
}

/// An answer of the model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Its text.
    pub text: String,
    /// Number of tokens of the conversation before it.
    pub n_prompt: usize,
    /// Number of those that did not have to be computed again.
    pub n_cached: usize,
    /// Number of its tokens.
    pub n_tokens: usize,
    /// The reason why it ended.
    pub ending: AnswerEnding,
}

/// The reason why an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnswerEnding {
    /// The model ended it.
    Complete,
    /// It had as many tokens as the options allow.
    MaxTokens,
    /// The model's context is full.
    ContextFull,
    /// Nobody wanted the rest.
    Interrupted,
}

/// The reason why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ConversationError {
    /// The conversation has more tokens than the model attends over.
    #[error("The conversation has {n_tokens} tokens; the context of the model has {capacity}")]
    TooLong {
        /// Tokens of the conversation with the new message.
        n_tokens: usize,
        /// Tokens that the model attends over.
        capacity: usize,
    },
    /// The template refuses the messages, or the model fails.
    #[error(transparent)]
    Model(#[from] ActionError),
}

impl<'a> Conversation<'a> {
    /// A conversation without messages.
    ///
    /// * `system`: a message that tells the model how to answer
    ///
    /// # Errors
    /// If the model has no chat template, or the template refuses the system message.
    pub fn new(model: &'a ChatModel, system: Option<String>) -> Result<Self, ActionError> {
        let opened = &model.0;
        let cache = opened.model.new_cache(opened.model.context_length().max(1));
        let prompts = Prompts::new(opened)?;
        let mut conversation =
            Self { opened, prompts, system: None, messages: Vec::new(), cache, cached: Vec::new() };
        conversation.set_system(system)?;
        Ok(conversation)
    }

    /// The message that tells the model how to answer.
    pub fn system(&self) -> Option<&str> {
        self.system.as_deref()
    }

    /// Replaces the system message, for the next answers.
    ///
    /// # Errors
    /// If the template refuses it; the one before stays.
    pub fn set_system(&mut self, system: Option<String>) -> Result<(), ActionError> {
        let before = std::mem::replace(&mut self.system, system);
        let checked = self.prompts.ids_of(&self.with(&[message(USER, "?")]));
        if checked.is_err() {
            self.system = before;
        }
        checked.map(drop)
    }

    /// Forgets all messages; the system message stays.
    pub fn clear(&mut self) {
        self.messages.clear();
    }

    /// Takes the last message of the user and the answer to it back, and returns the message.
    pub fn take_back(&mut self) -> Option<String> {
        let last = self.messages.iter().rposition(|message| message.role == USER)?;
        self.messages.drain(last..).next().map(|message| message.content)
    }

    /// Answers a message.
    ///
    /// * `is_interrupted`: asked often whether the rest of the answer is not wanted any more
    /// * `on_text`: gets the text while it comes
    ///
    /// # Errors
    /// If there is no answer; the conversation is then as it was before.
    pub fn answer(
        &mut self,
        user: &str,
        options: &ChatOptions,
        is_interrupted: &(dyn Fn() -> bool + Sync),
        on_text: &mut dyn FnMut(&str),
    ) -> Result<Answer, ConversationError> {
        let ids = self.prompts.ids_of(&self.with(&[message(USER, user)]))?;
        let capacity = self.cache.capacity();
        if ids.len() > capacity {
            return Err(ConversationError::TooLong { n_tokens: ids.len(), capacity });
        }
        let n_cached = self.keep_common(&ids)?;
        let mut pieces = Pieces::default();
        let mut tokens = Vec::new();
        let opened = self.opened;
        let on_token = |token| {
            tokens.push(token);
            let text = pieces.push(&opened.tokenizer.piece_bytes(token));
            if !text.is_empty() {
                on_text(&text);
            }
            if is_interrupted() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        let generation = options.generation(opened);
        let caller = Cancellation::new(is_interrupted);
        let generated =
            generate_after(caller, &opened.model, &mut self.cache, &ids[n_cached..], &generation, on_token);
        let rest = pieces.finish();
        if !rest.is_empty() {
            on_text(&rest);
        }
        let n_prompt = ids.len();
        self.cached = ids.into_iter().chain(tokens.iter().copied()).collect();
        self.cached.truncate(self.cache.n_positions());
        let ending = match generated.map(|generated| generated.stop_reason) {
            Ok(StopReason::Stop(_)) => AnswerEnding::Complete,
            Ok(StopReason::MaxTokens) => AnswerEnding::MaxTokens,
            Ok(StopReason::ContextFull) => AnswerEnding::ContextFull,
            Ok(StopReason::Cancelled) | Err(RuntimeError::Cancelled) => AnswerEnding::Interrupted,
            Err(error) => return Err(ActionError::failed(error).into()),
        };
        // An answer that nobody waited for leaves no trace, so that the question can be put again.
        if ending != AnswerEnding::Interrupted || !tokens.is_empty() {
            self.messages.extend([message(USER, user), message(ASSISTANT, &pieces.text)]);
        }
        Ok(Answer { text: pieces.text, n_prompt, n_cached, n_tokens: tokens.len(), ending })
    }

    /// The conversation with further messages.
    fn with(&self, further: &[Message]) -> Vec<Message> {
        let system = self.system.as_deref().map(|system| message(SYSTEM, system));
        system.into_iter().chain(self.messages.iter().cloned()).chain(further.iter().cloned()).collect()
    }

    /// Cuts the cache back to the tokens that `ids` begins with, and returns their number. At least one of `ids` is
    /// left, because the answer begins with the logits of the last.
    fn keep_common(&mut self, ids: &[u32]) -> Result<usize, ConversationError> {
        let n_common = self.cached.iter().zip(ids).take_while(|(cached, id)| cached == id).count();
        let n_common = n_common.min(ids.len().saturating_sub(1));
        self.cache.truncate(n_common).map_err(ActionError::failed)?;
        self.cached.truncate(n_common);
        Ok(n_common)
    }
}
