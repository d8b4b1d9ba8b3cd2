//! A chat at a terminal: a user types messages, and the model answers them in turn.
//!
//! Answers go to stdout, everything else to stderr or to the terminal itself.

use mc_ir::action::ActionError;
use mc_rules::inference::chat::{ChatModel, ChatOptions};
use mc_rules::inference::conversation::{Answer, AnswerEnding, Conversation, ConversationError};

use crate::exit::Exit;
use crate::failure::Failure;
use crate::interrupt::answering;
use crate::invocation::Invocation;
use crate::render::error;
use crate::render::plural::plural;
use crate::report::Report;
use crate::streams::Streams;
use crate::verbs::run::command::{self, Typed};
use crate::verbs::run::limit;
use crate::verbs::run::pace::{Pace, Stopwatch};
use crate::verbs::run::typing::{Entered, Typing};

/// Settings of a chat.
pub(crate) struct ChatSettings {
    /// The model, as the user named it.
    pub(crate) model: String,
    /// The message that tells the model how to answer.
    pub(crate) system: Option<String>,
    /// True if the pace of each answer is shown.
    pub(crate) shows_stats: bool,
    /// Options for answers.
    pub(crate) options: ChatOptions,
}

/// A running chat.
struct Chat<'a> {
    streams: &'a Streams,
    model: &'a str,
    conversation: Conversation<'a>,
    options: ChatOptions,
    shows_stats: bool,
}

/// Chats until the user ends it.
///
/// # Errors
/// If the model has no chat template, or the terminal cannot be used.
pub(crate) fn run(
    invocation: &Invocation,
    model: &ChatModel,
    settings: ChatSettings,
) -> Result<Exit, Failure> {
    let ChatSettings { model: name, system, shows_stats, options } = settings;
    let conversation = Conversation::new(model, system).map_err(|reason| failed(&name, &reason))?;
    let streams = &*invocation.streams;
    let unusable = |error| Report::failed("Cannot read from the terminal").because(error);
    let mut typing = Typing::new().map_err(unusable)?;
    streams.note(&format!("Chat with {name}. /help shows the commands, Ctrl-D ends it.\n"));
    let mut chat = Chat { streams, model: &name, conversation, options, shows_stats };
    // Ctrl-C during an answer stops the answer; the next one ends the chat.
    let mut is_interrupted = false;
    loop {
        streams.flush();
        match typing.read().map_err(unusable)? {
            Entered::End => return Ok(Exit::Done),
            Entered::Interrupt if is_interrupted => return Ok(Exit::Interrupted),
            Entered::Interrupt => {
                is_interrupted = true;
                streams.note("Press Ctrl-C again to end the chat.\n");
            }
            Entered::Line(line) => match command::read(&line) {
                Typed::Exit => return Ok(Exit::Done),
                typed => is_interrupted = chat.handle(typed),
            },
        }
    }
}

fn failed(model: &str, reason: &ActionError) -> Report {
    error::action("Cannot chat with the model", reason).at(model)
}

impl Chat<'_> {
    /// Handles a line of the user. Returns true if an answer was interrupted.
    fn handle(&mut self, typed: Typed) -> bool {
        match typed {
            Typed::Message(message) => return self.answer(&message),
            Typed::Retry => match self.conversation.take_back() {
                Some(message) => {
                    self.options.seed = self.options.seed.wrapping_add(1);
                    return self.answer(&message);
                }
                None => self.streams.error("There is no message yet.\n"),
            },
            Typed::Help => self.streams.error(&command::help()),
            Typed::Clear => {
                self.conversation.clear();
                self.streams.note("The conversation is forgotten.\n");
            }
            Typed::ShowSystem => match self.conversation.system() {
                Some(system) => self.streams.error(&format!("{system}\n")),
                None => self.streams.error("There is no system prompt.\n"),
            },
            Typed::System(system) => match self.conversation.set_system(system) {
                Ok(()) => self.streams.note("The system prompt is set.\n"),
                Err(reason) => self.report(&reason),
            },
            Typed::Stats => {
                self.shows_stats = !self.shows_stats;
                let word = if self.shows_stats { "shown" } else { "hidden" };
                self.streams.note(&format!("Tokens per second are {word}.\n"));
            }
            Typed::Unknown(message) => self.streams.error(&format!("{message}\n")),
            Typed::Nothing | Typed::Exit => {}
        }
        false
    }

    /// Answers a message. Returns true if the answer was interrupted.
    fn answer(&mut self, message: &str) -> bool {
        let answering = answering();
        let mut stopwatch = Stopwatch::start();
        let mut on_text = |text: &str| {
            stopwatch.text();
            self.streams.result(text);
            self.streams.flush();
        };
        let is_interrupted = || answering.is_interrupted();
        let answered = self.conversation.answer(message, &self.options, &is_interrupted, &mut on_text);
        drop(answering);
        match answered {
            Ok(answer) => {
                self.streams.result("\n");
                self.streams.flush();
                self.remark(&answer, stopwatch.pace(answer.n_tokens));
                answer.ending == AnswerEnding::Interrupted
            }
            Err(ConversationError::Model(reason)) => {
                self.report(&reason);
                false
            }
            Err(error @ ConversationError::TooLong { .. }) => {
                self.streams.error(&format!("{error}. /clear starts over.\n"));
                false
            }
        }
    }

    /// Prints why an answer stopped early, and its pace.
    fn remark(&self, answer: &Answer, pace: Pace) {
        let reason = match answer.ending {
            AnswerEnding::Complete => None,
            AnswerEnding::MaxTokens => Some(limit::max_tokens(self.options.max_tokens)),
            AnswerEnding::ContextFull => Some(format!("{}; /clear starts over", limit::CONTEXT_FULL)),
            AnswerEnding::Interrupted => Some("stopped; press Ctrl-C again to end the chat".to_owned()),
        };
        if let Some(reason) = reason {
            self.streams.note(&format!("({reason})\n"));
        }
        if self.shows_stats {
            let Answer { n_prompt, n_cached, n_tokens, .. } = answer;
            let cached = if *n_cached > 0 { format!(", {n_cached} of them cached") } else { String::new() };
            self.streams.note(&format!(
                "{n_prompt} prompt tokens{cached}, {n_tokens} token{}; {} (on this machine)\n",
                plural(*n_tokens),
                pace.text()
            ));
        }
    }

    fn report(&self, reason: &ActionError) {
        self.streams.error_markup(&failed(self.model, reason).markup());
    }
}
