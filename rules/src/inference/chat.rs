//! Asking a model in a file something, for the command line.

use std::ops::ControlFlow;

use mc_family::tokenizer::parse_special::ParseSpecial;
use mc_ir::action::{ActionError, Content};
use mc_runtime::generate::{GenerateOptions, StopReason, generate};
use mc_runtime::log_probabilities::log_probability;
use mc_runtime::logits::LogitPositions;
use mc_runtime::sampler::Sampling;

use crate::inference::exported::open_exported;
use crate::inference::opened::Opened;
use crate::inference::prompts::Prompts;

/// Name of the threads that chat templates run on; a panic there is told as an error of the template.
pub const TEMPLATE_THREAD: &str = mc_family::chat::THREAD;

/// How to answer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ChatOptions {
    /// Tokens after which the answer is cut off.
    pub max_tokens: usize,
    /// How freely tokens are chosen; 0 takes the likeliest.
    pub temperature: f32,
    /// Probability that the tokens to choose among have together.
    pub top_p: f32,
    /// Likeliest tokens to choose among; 0 is all.
    pub top_k: usize,
    /// Which choice; the same seed gives the same answer.
    pub seed: u64,
    /// Whether the prompt is continued as it is, without the chat template.
    pub raw: bool,
    /// How many of the likeliest tokens are told at each step of the answer.
    pub n_top: usize,
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
    /// The likeliest tokens at each step; after the last token of an answer that ended by itself comes the step that
    /// ended it. Empty unless asked for.
    pub steps: Vec<Vec<Candidate>>,
}

/// A token that might have come next.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    /// Its number.
    pub id: u32,
    /// Its text.
    pub text: String,
    /// Logarithm of its probability.
    pub log_probability: f64,
}

/// A model that answers.
pub struct ChatModel(Opened);

impl ChatModel {
    /// Brings up the model in a file.
    ///
    /// # Errors
    /// When the file is broken, or no model that we can run.
    pub fn open(content: &Content) -> Result<Self, ActionError> {
        open_exported(content).map(Self)
    }

    /// Answers a prompt; `on_text` gets the text while it comes.
    ///
    /// # Errors
    /// When the prompt is longer than the model's context, or the model has no chat template and needs one.
    pub fn reply(
        &self,
        prompt: &str,
        options: &ChatOptions,
        on_text: &mut dyn FnMut(&str),
    ) -> Result<Reply, ActionError> {
        let opened = &self.0;
        let ids = if options.raw {
            let ids = opened.tokenizer.encode(prompt, ParseSpecial::Yes).map_err(ActionError::failed)?;
            opened.begin().filter(|begin| ids.first() != Some(begin)).into_iter().chain(ids).collect()
        } else {
            Prompts::new(opened)?.ids(prompt)?
        };
        let sampling = if options.temperature == 0.0 {
            Sampling::Greedy
        } else {
            Sampling::Random {
                temperature: options.temperature.into(),
                top_k: Some(options.top_k).filter(|top_k| *top_k > 0),
                top_p: options.top_p.into(),
                seed: options.seed,
            }
        };
        let generate_options = GenerateOptions {
            sampling,
            max_tokens: options.max_tokens,
            stop: opened.vocabulary.special.stop.clone(),
        };
        let mut pieces = Pieces::default();
        let generated = generate(&opened.model, &ids, &generate_options, |token| {
            let text = pieces.push(&opened.tokenizer.piece_bytes(token));
            if !text.is_empty() {
                on_text(&text);
            }
            ControlFlow::Continue(())
        })
        .map_err(ActionError::failed)?;
        let rest = pieces.finish();
        if !rest.is_empty() {
            on_text(&rest);
        }
        let steps = match options.n_top {
            0 => Vec::new(),
            n_top => {
                let mut steps = self.steps(&ids, &generated.tokens, n_top)?;
                if !matches!(generated.stop_reason, StopReason::Stop(_)) {
                    steps.truncate(generated.tokens.len());
                }
                steps
            }
        };
        Ok(Reply { text: pieces.text, prompt: ids, tokens: generated.tokens, steps })
    }

    /// The likeliest tokens after the prompt and after each token of the answer.
    fn steps(
        &self,
        prompt: &[u32],
        answer: &[u32],
        n_top: usize,
    ) -> Result<Vec<Vec<Candidate>>, ActionError> {
        let opened = &self.0;
        let ids: Vec<u32> = prompt.iter().chain(answer).copied().collect();
        let mut cache = opened.model.new_cache(ids.len());
        let positions = LogitPositions::Range(prompt.len() - 1..ids.len());
        let logits = opened.model.forward(&ids, &mut cache, &positions, None).map_err(ActionError::failed)?;
        let step = |logits: &[f32]| {
            let mut order: Vec<u32> = (0..logits.len() as u32).collect();
            order.sort_by(|a, b| logits[*b as usize].total_cmp(&logits[*a as usize]).then(a.cmp(b)));
            let candidate = |id: &u32| Candidate {
                id: *id,
                text: String::from_utf8_lossy(&opened.tokenizer.piece_bytes(*id)).into_owned(),
                log_probability: log_probability(logits, *id),
            };
            order.iter().take(n_top).map(candidate).collect()
        };
        Ok(logits.rows().map(step).collect())
    }
}

/// Joins the bytes of tokens to text: a character may be spread over several.
#[derive(Default)]
struct Pieces {
    text: String,
    pending: Vec<u8>,
}

impl Pieces {
    /// Adds bytes; the characters that are complete now.
    fn push(&mut self, bytes: &[u8]) -> String {
        self.pending.extend_from_slice(bytes);
        let n_whole = match std::str::from_utf8(&self.pending) {
            Ok(text) => text.len(),
            Err(error) if error.error_len().is_none() => error.valid_up_to(),
            // Bytes that no further byte can mend.
            Err(_) => self.pending.len(),
        };
        let whole: Vec<u8> = self.pending.drain(..n_whole).collect();
        let text = String::from_utf8_lossy(&whole).into_owned();
        self.text.push_str(&text);
        text
    }

    /// What never became a character.
    fn finish(&mut self) -> String {
        let text = String::from_utf8_lossy(&std::mem::take(&mut self.pending)).into_owned();
        self.text.push_str(&text);
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_character_appears_when_its_last_byte_came() {
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
