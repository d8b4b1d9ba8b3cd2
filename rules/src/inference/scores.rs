//! Log-probabilities of a prompt and of the answer to it, from one pass over both.

use mc_family::tokenizer::Tokenizer;
use mc_ir::action::ActionError;
use mc_runtime::cancellation::Cancellation;
use mc_runtime::log_probabilities::{all_log_probabilities, log_probability};
use mc_runtime::logit_rows::for_each_row;

use crate::inference::opened::Opened;

/// The scores to compute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ScoreOptions {
    /// True for the scores of the prompt's own tokens.
    pub prompt: bool,
    /// The scores of the tokens that may follow the prompt.
    pub next: Next,
    /// True for the scores of the answer's tokens.
    pub answer: bool,
    /// Number of most likely tokens at each position of the answer.
    pub n_top: usize,
}

/// The tokens after the prompt to score.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Next {
    /// None.
    #[default]
    None,
    /// This number of most likely tokens.
    Likeliest(usize),
    /// The whole vocabulary.
    All,
}

/// Natural logarithms of probabilities; scores that were not requested are empty.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scores {
    /// One for each token of the prompt after the first, given those before it.
    pub prompt: Vec<f64>,
    /// The most likely tokens after the prompt, in descending order.
    pub next: Vec<Candidate>,
    /// One for every token of the vocabulary after the prompt, in the order of their ids.
    pub distribution: Vec<f64>,
    /// One for each token of the answer, given those before it.
    pub answer: Vec<f64>,
    /// The most likely tokens at each position of the answer; if the answer ended by itself, the position of
    /// the end token is included.
    pub steps: Vec<Vec<Candidate>>,
}

/// A token that may come next.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    /// Its id.
    pub id: u32,
    /// Its text.
    pub text: String,
    /// Logarithm of its probability.
    pub log_probability: f64,
}

impl ScoreOptions {
    /// Scores a prompt and its answer.
    ///
    /// * `has_ended`: true if the answer ended by itself
    pub(crate) fn scores(
        self,
        opened: &Opened,
        prompt: &[u32],
        answer: &[u32],
        has_ended: bool,
    ) -> Result<Scores, ActionError> {
        let mut scores = Scores::default();
        if self == Self::default() {
            return Ok(scores);
        }
        let ids = [prompt, answer].concat();
        // The logits of the answer's first token are at the prompt's last position.
        let last_of_prompt = prompt.len() - 1;
        let n_steps = answer.len() + usize::from(has_ended);
        let n_after = if self.n_top > 0 { n_steps } else { answer.len() };
        let first = if self.prompt { 0 } else { last_of_prompt };
        let end = (last_of_prompt + n_after).max(prompt.len());
        let visit = |position: usize, logits: &[f32]| {
            if position < last_of_prompt {
                scores.prompt.push(log_probability(logits, ids[position + 1]));
                return;
            }
            if position == last_of_prompt {
                match self.next {
                    Next::None => {}
                    Next::Likeliest(n) => scores.next = likeliest(&opened.tokenizer, logits, n),
                    Next::All => scores.distribution = all_log_probabilities(logits),
                }
            }
            let step = position - last_of_prompt;
            if self.answer && step < answer.len() {
                scores.answer.push(log_probability(logits, answer[step]));
            }
            if self.n_top > 0 && step < n_steps {
                scores.steps.push(likeliest(&opened.tokenizer, logits, self.n_top));
            }
        };
        for_each_row(Cancellation::NEVER, &opened.model, &ids[..end], first..end, visit)
            .map_err(ActionError::failed)?;
        Ok(scores)
    }
}

/// Returns the most likely tokens in descending order; of equals, the lowest id comes first.
fn likeliest(tokenizer: &Tokenizer, logits: &[f32], n: usize) -> Vec<Candidate> {
    let mut order: Vec<u32> = (0..logits.len() as u32).collect();
    order.sort_unstable_by(|a, b| logits[*b as usize].total_cmp(&logits[*a as usize]).then(a.cmp(b)));
    let candidate = |id: &u32| Candidate {
        id: *id,
        text: String::from_utf8_lossy(&tokenizer.piece_bytes(*id)).into_owned(),
        log_probability: log_probability(logits, *id),
    };
    order.iter().take(n).map(candidate).collect()
}
