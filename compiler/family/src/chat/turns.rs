//! The text that a chat template puts around messages, inferred from renderings of conversations with marks as
//! messages.
//!
//! Most templates write each message between two texts that depend only on its role and on the preceding role. For
//! those this module finds the texts; [`super::ollama`] writes them in another template language. The result is
//! verified: the texts must also reproduce the template's rendering of longer conversations.
//!
//! A template that changes the content of a message (for example by escaping or indenting it) has no such texts.
//! Trimming is allowed, because it affects only messages with leading or trailing white space.

use crate::chat::{ChatTemplate, Message};
use crate::error::FamilyError;

/// The tokens that a template may write around a conversation.
#[derive(Clone, Copy, Debug)]
pub struct Ends<'a> {
    /// The text of the token that begins a sequence.
    pub bos: &'a str,
    /// The text of the token that ends a sequence.
    pub eos: &'a str,
    /// True if the program that tokenizes the text adds the begin token itself.
    pub is_bos_added: bool,
}

/// The texts around the messages of a conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turns {
    /// Text before a user's message at the beginning.
    pub first_user: String,
    /// Text between a user's message and the answer that follows it.
    pub answer: String,
    /// Text between an answer and the user's next message.
    pub next_user: String,
    /// Text after the user's last message, before the model's answer.
    pub prompt: String,
    /// The position of the system message.
    pub system: SystemPlace,
}

/// The position of a system message in a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SystemPlace {
    /// None: the template rejects a system message or omits it.
    Nowhere,
    /// At the beginning.
    First {
        /// Text before it.
        before: String,
        /// Text between it and the first user's message.
        user: String,
    },
    /// Before the last user's message.
    Last {
        /// Text before it if that message is the first.
        first: String,
        /// Text between the last answer and it.
        next: String,
        /// Text between it and that message.
        user: String,
    },
}

/// A reason why a template does not have such texts.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoTurns {
    /// The template rejects a plain conversation.
    #[error("the chat template refuses a conversation of user, assistant and user: {0}")]
    Refused(String),
    /// The text does not contain the messages unchanged.
    #[error("the chat template changes the words of a message")]
    Changed,
    /// Texts around messages depend on more than the roles.
    #[error("the chat template writes turns that depend on more than their roles")]
    Irregular,
}

/// Letters around the content of a mark, which no template writes and trimming does not remove.
const MARK: char = '\u{1}';

impl Turns {
    /// Infers the texts around messages from a template.
    ///
    /// # Errors
    /// A limit that the template exceeds. The inner error is the reason why a template within all limits has no such
    /// texts.
    pub fn learn(template: &ChatTemplate, ends: Ends<'_>) -> Result<Result<Self, NoTurns>, FamilyError> {
        let probe = Probe { template, ends };
        match probe.learn() {
            Err(Stop::Limit(error)) => Err(error),
            Err(Stop::Reason(reason)) => Ok(Err(reason)),
            Ok(turns) => Ok(Ok(turns)),
        }
    }

    /// Renders a conversation with these texts; messages alternate, after an optional system message.
    fn compose(&self, conversation: &[Message]) -> String {
        let (system, turns) = match conversation {
            [first, rest @ ..] if first.role == SYSTEM => (Some(first.content.as_str()), rest),
            all => (None, all),
        };
        let mut text = String::new();
        for (index, message) in turns.iter().enumerate() {
            let (is_first, is_last) = (index == 0, index + 1 == turns.len());
            if message.role == ASSISTANT {
                text.push_str(&self.answer);
            } else {
                text.push_str(&self.before_user(system, is_first, is_last));
            }
            text.push_str(&message.content);
        }
        text + &self.prompt
    }

    fn before_user(&self, system: Option<&str>, is_first: bool, is_last: bool) -> String {
        let plain = if is_first { &self.first_user } else { &self.next_user };
        match (&self.system, system) {
            (SystemPlace::First { before, user }, Some(system)) if is_first => {
                format!("{before}{system}{user}")
            }
            (SystemPlace::Last { first, next, user }, Some(system)) if is_last => {
                format!("{}{system}{user}", if is_first { first } else { next })
            }
            _ => plain.clone(),
        }
    }
}

const SYSTEM: &str = "system";
const USER: &str = "user";
const ASSISTANT: &str = "assistant";

/// The reason for which the inference stops.
enum Stop {
    Limit(FamilyError),
    Reason(NoTurns),
}

struct Probe<'a> {
    template: &'a ChatTemplate,
    ends: Ends<'a>,
}

impl Probe<'_> {
    fn learn(&self) -> Result<Turns, Stop> {
        let reason = |reason| Err(Stop::Reason(reason));
        let said = conversation(false, 2);
        let text = match self.render(&said)? {
            Ok(text) => text,
            Err(refused) => return reason(NoTurns::Refused(refused)),
        };
        let Some([first_user, answer, next_user, prompt]) = pieces(&text, &said) else {
            return reason(NoTurns::Changed);
        };
        let mut turns = Turns { first_user, answer, next_user, prompt, system: SystemPlace::Nowhere };
        for n_users in [1, 3] {
            self.hold(&turns, &conversation(false, n_users))?;
        }
        turns.system = self.system_place()?;
        if turns.system != SystemPlace::Nowhere {
            for n_users in 1..=3 {
                self.hold(&turns, &conversation(true, n_users))?;
            }
        }
        Ok(turns)
    }

    /// Checks that the texts reproduce the template's own rendering.
    fn hold(&self, turns: &Turns, said: &[Message]) -> Result<(), Stop> {
        let is_equal = self.render(said)?.is_ok_and(|text| text == turns.compose(said));
        if is_equal { Ok(()) } else { Err(Stop::Reason(NoTurns::Irregular)) }
    }

    fn system_place(&self) -> Result<SystemPlace, Stop> {
        let said = conversation(true, 1);
        let Ok(text) = self.render(&said)? else { return Ok(SystemPlace::Nowhere) };
        let Some([before, user, _]) = pieces(&text, &said) else {
            let is_there = text.contains(said[0].content.trim_matches(MARK));
            return if is_there { Err(Stop::Reason(NoTurns::Irregular)) } else { Ok(SystemPlace::Nowhere) };
        };
        let longer = conversation(true, 2);
        let text = match self.render(&longer)? {
            Ok(text) => text,
            Err(refused) => return Err(Stop::Reason(NoTurns::Refused(refused))),
        };
        // The order of the messages in the text if the system message comes last.
        let [system, first, answer, last] = longer.as_slice() else { return Ok(SystemPlace::Nowhere) };
        let moved = [first, answer, system, last].map(Clone::clone);
        Ok(match pieces(&text, &moved) {
            Some([_, _, next, user, _]) => SystemPlace::Last { first: before, next, user },
            None => SystemPlace::First { before, user },
        })
    }

    /// The rendered conversation as a program tokenizes it, or the reason why the template rejects it.
    fn render(&self, said: &[Message]) -> Result<Result<String, String>, Stop> {
        let Ends { bos, eos, is_bos_added } = self.ends;
        match self.template.render(said, bos, eos, true) {
            Ok(text) => Ok(Ok(match text.strip_prefix(bos) {
                Some(rest) if is_bos_added => rest.to_owned(),
                _ => text,
            })),
            Err(error @ FamilyError::ChatTemplateLimit { .. }) => Err(Stop::Limit(error)),
            Err(FamilyError::ChatTemplate { reason, .. }) => Ok(Err(reason)),
            Err(error) => Ok(Err(error.to_string())),
        }
    }
}

/// A conversation of marks: users and answers alternate, and a user is last.
fn conversation(has_system: bool, n_users: usize) -> Vec<Message> {
    let system = has_system.then_some(SYSTEM);
    let turns = (0..2 * n_users - 1).map(|turn| if turn % 2 == 0 { USER } else { ASSISTANT });
    // Letters that templates may escape, and a second line that they may indent.
    let mark = |(number, role): (usize, &str)| Message {
        role: role.to_owned(),
        content: format!("{MARK}{role} {number}\nsecond <line> & \"quotes\"{MARK}"),
    };
    system.into_iter().chain(turns).enumerate().map(mark).collect()
}

/// Splits a text at the messages, each of which must occur in this order, into the texts before, between and after
/// them.
fn pieces<const N: usize>(text: &str, said: &[Message]) -> Option<[String; N]> {
    let mut pieces = Vec::with_capacity(N);
    let mut rest = text;
    for message in said {
        let (before, after) = rest.split_once(message.content.as_str())?;
        pieces.push(before.to_owned());
        rest = after;
    }
    pieces.push(rest.to_owned());
    let is_free = pieces.iter().all(|piece| !piece.contains(MARK));
    pieces.try_into().ok().filter(|_| is_free)
}
