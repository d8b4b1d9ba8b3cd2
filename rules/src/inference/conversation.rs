//! A conversation with a model: messages in turn, rendered by the model's chat template.
//!
//! The template renders the whole conversation for each answer, because it may write earlier messages differently from
//! the last one. The tokens that the new rendering shares with the previous one are not computed again: their keys and
//! values are still in the cache.
//!
//! This module displays nothing and reads no input.

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
    /// Alternating messages of the user and the model.
    messages: Vec<Message>,
    cache: KvCache,
    /// The tokens in the cache.
    cached: Vec<u32>,
}

/// An answer of the model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Its text.
    pub text: String,
    /// Number of tokens of the conversation before the answer.
    pub n_prompt: usize,
    /// Number of those tokens that were reused from the cache.
    pub n_cached: usize,
    /// Number of tokens in the answer.
    pub n_tokens: usize,
    /// The reason why the answer ended.
    pub ending: AnswerEnding,
}

/// The reason why an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnswerEnding {
    /// The model ended it.
    Complete,
    /// It reached the maximum number of tokens in the options.
    MaxTokens,
    /// The model's context is full.
    ContextFull,
    /// The caller interrupted it.
    Interrupted,
}

/// The reason why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ConversationError {
    /// The conversation exceeds the model's context.
    #[error("The conversation has {n_tokens} tokens; the context of the model has {capacity}")]
    TooLong {
        /// Number of tokens in the conversation, including the new message.
        n_tokens: usize,
        /// Number of tokens in the model's context.
        capacity: usize,
    },
    /// The template rejects the messages, or the model fails.
    #[error(transparent)]
    Model(#[from] ActionError),
}

impl<'a> Conversation<'a> {
    /// Creates a conversation without messages.
    ///
    /// * `system`: an optional message that tells the model how to answer
    ///
    /// # Errors
    /// Fails if the model has no chat template, or if the template rejects the system message.
    pub fn new(model: &'a ChatModel, system: Option<String>) -> Result<Self, ActionError> {
        let opened = &model.0;
        let cache = opened.model.new_cache(opened.model.context_length().max(1));
        let prompts = Prompts::new(opened)?;
        let mut conversation =
            Self { opened, prompts, system: None, messages: Vec::new(), cache, cached: Vec::new() };
        conversation.set_system(system)?;
        Ok(conversation)
    }

    /// The system message.
    pub fn system(&self) -> Option<&str> {
        self.system.as_deref()
    }

    /// Replaces the system message for subsequent answers.
    ///
    /// # Errors
    /// Fails if the template rejects it; the previous message then stays.
    pub fn set_system(&mut self, system: Option<String>) -> Result<(), ActionError> {
        let before = std::mem::replace(&mut self.system, system);
        let checked = self.prompts.ids_of(&self.with(&[message(USER, "?")]));
        if checked.is_err() {
            self.system = before;
        }
        checked.map(drop)
    }

    /// Removes all messages except the system message.
    pub fn clear(&mut self) {
        self.messages.clear();
    }

    /// Removes the user's last message and its answer, and returns the message.
    pub fn take_back(&mut self) -> Option<String> {
        let last = self.messages.iter().rposition(|message| message.role == USER)?;
        self.messages.drain(last..).next().map(|message| message.content)
    }

    /// Answers a message.
    ///
    /// * `is_interrupted`: called often; returns true to stop the answer
    /// * `on_text`: receives the text as it is generated
    ///
    /// # Errors
    /// Fails if there is no answer; the conversation is then unchanged.
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
        // An answer that was interrupted before its first token leaves no trace, so that the question can be asked
        // again.
        if ending != AnswerEnding::Interrupted || !tokens.is_empty() {
            self.messages.extend([message(USER, user), message(ASSISTANT, &pieces.text)]);
        }
        Ok(Answer { text: pieces.text, n_prompt, n_cached, n_tokens: tokens.len(), ending })
    }

    /// Returns the conversation with additional messages.
    fn with(&self, further: &[Message]) -> Vec<Message> {
        let system = self.system.as_deref().map(|system| message(SYSTEM, system));
        system.into_iter().chain(self.messages.iter().cloned()).chain(further.iter().cloned()).collect()
    }

    /// Truncates the cache to the longest common prefix with `ids`, and returns its length. At least one id remains to
    /// be computed, because the answer needs the logits of the last one.
    fn keep_common(&mut self, ids: &[u32]) -> Result<usize, ConversationError> {
        let n_common = self.cached.iter().zip(ids).take_while(|(cached, id)| cached == id).count();
        let n_common = n_common.min(ids.len().saturating_sub(1));
        self.cache.truncate(n_common).map_err(ActionError::failed)?;
        self.cached.truncate(n_common);
        Ok(n_common)
    }
}
