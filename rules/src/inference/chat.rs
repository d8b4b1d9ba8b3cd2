//! Prompts and answers of a model, for the command line.

use std::ops::ControlFlow;

use mc_family::chat::Message;
use mc_family::tokenizer::parse_special::ParseSpecial;
use mc_ir::action::{ActionError, Artifact, Content};
use mc_runtime::backends;
use mc_runtime::error::RuntimeError;
use mc_runtime::generate::{GenerateOptions, Generated, StopReason, generate};
use mc_runtime::sampler::Sampling;

use crate::inference::exported::open_exported;
use crate::inference::opened::Opened;
use crate::inference::prompts::{Prompts, SYSTEM, USER, message};
use crate::inference::scores::{ScoreOptions, Scores};
use crate::inference::source_inputs::{ReadSource, SourceInputs};
use crate::inference::unquantized::Unquantized;
use crate::inference::written::Written;
use crate::inference::written_model::WrittenModel;
use crate::source::model_info::ModelInfo;

/// Name of the threads that run chat templates; a panic there is reported as an error of the template.
pub const TEMPLATE_THREAD: &str = mc_family::chat::THREAD;

/// The prompt of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Prompt {
    /// A user message for the chat template.
    Message {
        /// The message that tells the model how to answer, if there is one.
        system: Option<String>,
        /// The message.
        user: String,
    },
    /// A text to continue without a chat template, after the token that begins every text of the model.
    Text(String),
    /// Tokens that are continued unchanged, without a begin token.
    Ids(Vec<u32>),
}

/// Options for an answer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ChatOptions {
    /// Maximum number of tokens in the answer.
    pub max_tokens: usize,
    /// Sampling temperature; 0 always takes the most likely token.
    pub temperature: f32,
    /// Total probability of the tokens to choose among.
    pub top_p: f32,
    /// Number of most likely tokens to choose among; 0 for all.
    pub top_k: usize,
    /// Seed of the choices; equal seeds give equal answers.
    pub seed: u64,
    /// True if the answer continues past tokens that end it.
    pub ignores_end: bool,
    /// The scores to compute.
    pub scores: ScoreOptions,
}

/// An answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Reply {
    /// Its text.
    pub text: String,
    /// Tokens of the prompt, as the model saw it.
    pub prompt: Vec<u32>,
    /// Tokens of the answer.
    pub tokens: Vec<u32>,
    /// Reason why it ended.
    pub ending: Ending,
    /// The requested scores.
    pub scores: Scores,
}

/// Reason why an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The model produced this token, which ends an answer and is not part of it.
    EndToken(u32),
    /// The answer reached its maximum number of tokens.
    MaxTokens,
    /// The model's context was full.
    ContextFull,
}

/// A model that answers.
pub struct ChatModel(pub(crate) Opened);

impl ChatModel {
    /// Opens the model in a file.
    ///
    /// # Errors
    /// Fails if the file is corrupt, or if its model is not supported.
    pub fn open(content: &Content) -> Result<Self, ActionError> {
        open_exported(content, backends::chosen()).map(Self)
    }

    /// Opens a checkpoint, a merge or a blend in its own precision.
    ///
    /// # Errors
    /// Fails if its files cannot be read or contradict each other, or if the model is not supported.
    pub fn of_model(info: &ModelInfo, read: ReadSource<'_>) -> Result<Self, ActionError> {
        let (model, inputs) = Unquantized::of(info);
        model.open(&SourceInputs { inputs: &inputs, built: &[], read }, 0, backends::chosen()).map(Self)
    }

    /// Opens a model in files that do not describe themselves.
    ///
    /// * `format`: the name of their format
    /// * `info`: the model from which the files were made
    /// * `built`: the files with their bytes
    ///
    /// # Errors
    /// Fails if the files are corrupt or not those that were planned, or if the model is not supported.
    pub fn of_written(
        format: &'static str,
        info: &ModelInfo,
        written: &WrittenModel,
        built: &[(Artifact, Content)],
        read: ReadSource<'_>,
    ) -> Result<Self, ActionError> {
        let (model, inputs) = Written::of(format, info, written);
        model.open(&SourceInputs { inputs: &inputs, built, read }, 0, backends::chosen()).map(Self)
    }

    /// Returns the ids of a prompt.
    ///
    /// # Errors
    /// Fails if there are none, if one is not in the vocabulary, or if they exceed the model's context; or if
    /// the prompt is a message and the model has no chat template.
    pub fn ids(&self, prompt: &Prompt) -> Result<Vec<u32>, ActionError> {
        let opened = &self.0;
        let ids = match prompt {
            Prompt::Message { system, user } => {
                let system = system.as_deref().map(|system| message(SYSTEM, system));
                let messages: Vec<Message> = system.into_iter().chain([message(USER, user)]).collect();
                Prompts::new(opened)?.ids_of(&messages)?
            }
            Prompt::Text(text) => {
                let ids = opened.tokenizer.encode(text, ParseSpecial::Yes).map_err(ActionError::failed)?;
                opened.begin().filter(|begin| ids.first() != Some(begin)).into_iter().chain(ids).collect()
            }
            Prompt::Ids(ids) => ids.clone(),
        };
        self.check(&ids).map_err(ActionError::failed)?;
        Ok(ids)
    }

    fn check(&self, ids: &[u32]) -> Result<(), RuntimeError> {
        let model = &self.0.model;
        let (n_vocab, capacity) = (model.n_vocab(), model.context_length());
        if let Some(token) = ids.iter().find(|id| **id as usize >= n_vocab) {
            return Err(RuntimeError::TokenOutOfRange { token: *token, n_vocab });
        }
        match ids.len() {
            0 => Err(RuntimeError::EmptySequence),
            needed if needed > capacity => Err(RuntimeError::CacheFull { capacity, needed }),
            _ => Ok(()),
        }
    }

    /// Answers a prompt of ids; `on_text` receives the text as it is generated.
    ///
    /// # Errors
    /// Fails if the ids are not a valid prompt (see [`ChatModel::ids`]), or if an option is out of range.
    pub fn reply(
        &self,
        ids: Vec<u32>,
        options: &ChatOptions,
        on_text: &mut dyn FnMut(&str),
    ) -> Result<Reply, ActionError> {
        self.check(&ids).map_err(ActionError::failed)?;
        let opened = &self.0;
        let mut pieces = Pieces::default();
        let Generated { tokens, stop_reason } = self.generated(&ids, options, |token| {
            let text = pieces.push(&opened.tokenizer.piece_bytes(token));
            if !text.is_empty() {
                on_text(&text);
            }
        })?;
        let rest = pieces.finish();
        if !rest.is_empty() {
            on_text(&rest);
        }
        let ending = match stop_reason {
            StopReason::Stop(token) => Ending::EndToken(token),
            StopReason::MaxTokens => Ending::MaxTokens,
            StopReason::ContextFull => Ending::ContextFull,
            StopReason::Cancelled => unreachable!("`generated` never cancels"),
        };
        let has_ended = matches!(ending, Ending::EndToken(_));
        let scores = options.scores.scores(opened, &ids, &tokens, has_ended)?;
        Ok(Reply { text: pieces.text, prompt: ids, tokens, ending, scores })
    }

    fn generated(
        &self,
        ids: &[u32],
        options: &ChatOptions,
        mut on_token: impl FnMut(u32),
    ) -> Result<Generated, ActionError> {
        if options.max_tokens == 0 {
            return Ok(Generated { tokens: Vec::new(), stop_reason: StopReason::MaxTokens });
        }
        let generated = generate(&self.0.model, ids, &options.generation(&self.0), |token| {
            on_token(token);
            ControlFlow::Continue(())
        });
        generated.map_err(ActionError::failed)
    }
}

impl ChatOptions {
    /// The options in the form of the runtime.
    pub(crate) fn generation(&self, opened: &Opened) -> GenerateOptions {
        let sampling = if self.temperature == 0.0 {
            Sampling::Greedy
        } else {
            Sampling::Random {
                temperature: self.temperature.into(),
                top_k: Some(self.top_k).filter(|top_k| *top_k > 0),
                top_p: self.top_p.into(),
                seed: self.seed,
            }
        };
        let stop = if self.ignores_end { Vec::new() } else { opened.vocabulary.special.stop.clone() };
        GenerateOptions { sampling, max_tokens: self.max_tokens, stop }
    }
}

/// Joins the bytes of tokens into text: a character may span several tokens.
#[derive(Default)]
pub(crate) struct Pieces {
    /// The text so far.
    pub(crate) text: String,
    pending: Vec<u8>,
}

impl Pieces {
    /// Adds bytes and returns the characters that are now complete.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> String {
        self.pending.extend_from_slice(bytes);
        let n_whole = match std::str::from_utf8(&self.pending) {
            Ok(text) => text.len(),
            Err(error) if error.error_len().is_none() => error.valid_up_to(),
            // These bytes are invalid whatever follows.
            Err(_) => self.pending.len(),
        };
        let whole: Vec<u8> = self.pending.drain(..n_whole).collect();
        let text = String::from_utf8_lossy(&whole).into_owned();
        self.text.push_str(&text);
        text
    }

    /// Returns the remaining bytes that never formed a character, as replacement characters.
    pub(crate) fn finish(&mut self) -> String {
        let text = String::from_utf8_lossy(&std::mem::take(&mut self.pending)).into_owned();
        self.text.push_str(&text);
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_character_appears_with_its_last_byte() {
        let mut pieces = Pieces::default();
        let bytes = "aé€".as_bytes();
        let shown: Vec<String> = bytes.iter().map(|byte| pieces.push(&[*byte])).collect();
        assert_eq!(shown, ["a", "", "é", "", "", "€"]);
        assert_eq!(pieces.push(&[0xff, b'x']), "\u{fffd}x");
        assert_eq!(pieces.push(&[0xe2, 0x82]), "");
        assert_eq!(pieces.finish(), "\u{fffd}");
        assert_eq!(pieces.text, "aé€\u{fffd}x\u{fffd}");
    }
}
