//! The chat of a shipped model: its template for Ollama, the tokens that end an answer, and an example of a prompt.

use mc_decoder::vocabulary::{TokenType, Vocabulary};
use mc_family::chat::turns::{Ends, NoTurns, Turns};
use mc_family::chat::{ChatTemplate, Message};
use mc_family::error::FamilyError;

/// The message of the example.
pub(crate) const MESSAGE: &str = "Hello!";

/// The function with which chat templates request the date.
const DATE: &str = "strftime_now";

/// The chat properties that a bundle states.
pub(crate) struct Prompt {
    /// The texts around messages, or the reason why there are none; `None` without a chat template.
    pub(crate) turns: Option<Result<Turns, String>>,
    /// The model's input for [`MESSAGE`].
    pub(crate) example: Option<String>,
    /// Tokens that end an answer.
    pub(crate) stop: Vec<u32>,
    /// True if the template uses the date, which is fixed here.
    pub(crate) has_date: bool,
}

impl Prompt {
    /// Reads the chat template of a vocabulary.
    ///
    /// * `place`: the file or key that contains it, in quotes
    ///
    /// # Errors
    /// Fails if the template exceeds a limit. Any other failure is recorded as the reason why there are no texts.
    pub(crate) fn new(vocabulary: &Vocabulary, place: &str) -> Result<Self, FamilyError> {
        let stop = vocabulary.special.stop.clone();
        let Some(source) = vocabulary.chat_template.as_deref() else {
            return Ok(Self { turns: None, example: None, stop, has_date: false });
        };
        let chat = match ChatTemplate::new(source, place) {
            Err(error @ FamilyError::ChatTemplateLimit { .. }) => return Err(error),
            Err(error) => {
                return Ok(Self { turns: Some(Err(reason(&error))), example: None, stop, has_date: false });
            }
            Ok(chat) => chat,
        };
        let text =
            |id: Option<u32>| id.and_then(|id| vocabulary.tokens.get(id as usize)).map_or("", String::as_str);
        let (bos, eos) = (text(vocabulary.special.bos), text(vocabulary.special.eos));
        let is_bos_added = vocabulary.special.add_bos == Some(true);
        let turns = Turns::learn(&chat, Ends { bos, eos, is_bos_added })?;
        let said = [Message { role: "user".to_owned(), content: MESSAGE.to_owned() }];
        Ok(Self {
            example: chat.render(&said, bos, eos, true).ok(),
            stop: stop_tokens(vocabulary, stop, turns.as_ref().ok()),
            turns: Some(turns.map_err(|reason: NoTurns| one_line(&reason.to_string()))),
            has_date: source.contains(DATE),
        })
    }
}

/// Returns the tokens that end an answer: the vocabulary's, and the one that the template writes after an answer.
fn stop_tokens(vocabulary: &Vocabulary, mut stop: Vec<u32>, turns: Option<&Turns>) -> Vec<u32> {
    let after = turns.map_or("", |turns| turns.next_user.as_str());
    let tokens = (0..).zip(vocabulary.tokens.iter().zip(&vocabulary.types));
    let ends = tokens.filter(|(_, (token, kind))| {
        **kind == TokenType::Control && !token.is_empty() && after.starts_with(*token)
    });
    if let Some((id, _)) = ends.max_by_key(|(_, (token, _))| token.len())
        && !stop.contains(&id)
    {
        stop.push(id);
    }
    stop
}

fn reason(error: &FamilyError) -> String {
    one_line(&error.to_string())
}

fn one_line(text: &str) -> String {
    text.split(|letter: char| letter.is_control()).collect::<Vec<_>>().join(" ")
}
