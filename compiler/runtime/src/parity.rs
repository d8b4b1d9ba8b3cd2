//! Parity of two models on prompts: the divergence of their predictions, and the equality of their greedy answers.
//!
//! The baseline answers each prompt greedily. Both models then read the prompt and this answer, and their predictions
//! are compared at every position. The model also answers by itself: its tokens are compared with those of the
//! baseline, one by one, with the token that ends an answer as its last one. After the first other token two answers
//! usually have nothing in common, so the share of equal greedy tokens is stricter than the agreement.
//!
//! Divergence and agreement of a position are those of [`crate::divergence`].

use std::ops::ControlFlow;

use rayon::iter::{IntoParallelIterator, IntoParallelRefIterator, ParallelExtend, ParallelIterator};

use crate::cancellation::Cancellation;
use crate::divergence::{self, Comparison, N_ROWS, compare};
use crate::error::RuntimeError;
use crate::estimate::{Estimate, Share, mean};
use crate::generate::{self, GenerateOptions, Generated, StopReason};
use crate::logit_rows::pieces;
use crate::model::Model;
use crate::sampler::Sampling;

/// Version of the algorithm, for action digests: raised when a result may change in its last bit.
pub const VERSION: u32 = divergence::VERSION + generate::VERSION;

/// The parity of a model with a baseline.
#[derive(Clone, Debug, PartialEq)]
pub struct Parity {
    /// Mean KL divergence over all positions, in nats.
    pub mean: Estimate,
    /// Share of positions at which both have the same most likely token.
    pub top_1: Share,
    /// Share of the baseline's greedy tokens that the model's own answers have at the same place.
    pub greedy: Share,
}

/// Compares a model with a baseline. Prompts run in parallel; the result does not depend on the number of threads.
///
/// * `prompts`: each up to the token before the answer
/// * `stop`: tokens that end an answer
/// * `max_tokens`: maximum number of tokens in an answer
///
/// # Errors
/// If the vocabularies have different sizes, a prompt is empty or longer than a context, a model computes values that
/// are not finite, or the computation was cancelled.
pub fn parity(
    model: &Model,
    baseline: &Model,
    prompts: &[Vec<u32>],
    stop: &[u32],
    max_tokens: usize,
    cancellation: Cancellation<'_>,
) -> Result<Parity, RuntimeError> {
    if model.n_vocab() != baseline.n_vocab() {
        let (found, expected) = (model.n_vocab(), baseline.n_vocab());
        return Err(RuntimeError::OtherVocabulary { found, expected });
    }
    let options = GenerateOptions { sampling: Sampling::Greedy, max_tokens, stop: stop.to_vec() };
    let of_prompt = |prompt: &Vec<u32>| of_prompt(cancellation, [model, baseline], prompt, &options);
    let (mut positions, mut greedy) = (Vec::new(), Share { n_counted: 0, n: 0 });
    let mut n_done = 0;
    for group in prompts.chunks(rayon::current_num_threads()) {
        let found: Vec<Result<_, RuntimeError>> = group.par_iter().map(of_prompt).collect();
        for found in found {
            let (compared, equal) = found?;
            positions.extend(compared);
            greedy.n_counted += equal.n_counted;
            greedy.n += equal.n;
        }
        n_done += group.len();
        cancellation.report(n_done, prompts.len());
    }
    let divergences: Vec<f64> = positions.iter().map(|position| position.divergence).collect();
    let n_counted = positions.iter().filter(|position| position.rank == 0).count();
    Ok(Parity { mean: mean(&divergences), top_1: Share { n_counted, n: positions.len() }, greedy })
}

fn of_prompt(
    cancellation: Cancellation<'_>,
    models: [&Model; 2],
    prompt: &[u32],
    options: &GenerateOptions,
) -> Result<(Vec<Comparison>, Share), RuntimeError> {
    let answer = |model: &Model| {
        generate::generate_unless(cancellation, model, prompt, options, |_| ControlFlow::Continue(()))
    };
    let [ours, theirs] = models.map(answer);
    let (ours, theirs) = (ours?, theirs?);
    let equal = equal_tokens(&ours, &theirs);
    let sequence = [prompt, &theirs.tokens].concat();
    // The caches have the capacity of the answers', because some models choose their rotary factors by it.
    let longest = prompt.len().saturating_add(options.max_tokens).max(sequence.len());
    let hidden = models.map(|model| {
        let mut cache = model.new_cache(longest.clamp(1, model.context_length().max(1)));
        model.hidden(cancellation, &sequence, &mut cache, None)
    });
    let [ours, theirs] = hidden;
    let (ours, theirs) = (ours?, theirs?);
    let mut found = Vec::with_capacity(sequence.len());
    for piece in pieces(0..sequence.len(), N_ROWS) {
        let ours = models[0].logits(cancellation, &ours, piece.clone(), None)?;
        let theirs = models[1].logits(cancellation, &theirs, piece.clone(), None)?;
        // The next token matters only for numbers that are not used here.
        found.par_extend(
            (0..piece.len()).into_par_iter().map(|row| compare(ours.row(row), theirs.row(row), 0)),
        );
    }
    Ok((found, equal))
}

/// The baseline's tokens, including the one that ends its answer, and how many of them the model's answer has at the
/// same place.
fn equal_tokens(ours: &Generated, theirs: &Generated) -> Share {
    let (ours, theirs) = (with_end(ours), with_end(theirs));
    let n_counted = ours.iter().zip(&theirs).filter(|(ours, theirs)| ours == theirs).count();
    Share { n_counted, n: theirs.len() }
}

fn with_end(answer: &Generated) -> Vec<u32> {
    let end = match answer.stop_reason {
        StopReason::Stop(token) => Some(token),
        StopReason::MaxTokens | StopReason::ContextFull | StopReason::Cancelled => None,
    };
    answer.tokens.iter().copied().chain(end).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn greedy_tokens_are_compared_place_by_place_including_the_end() {
        let answer = |tokens: &[u32], end: Option<u32>| Generated {
            tokens: tokens.to_vec(),
            stop_reason: end.map_or(StopReason::MaxTokens, StopReason::Stop),
        };
        let share = |ours: &Generated, theirs: &Generated| {
            let Share { n_counted, n } = equal_tokens(ours, theirs);
            (n_counted, n)
        };
        let baseline = answer(&[4, 5, 6], Some(2));
        assert_eq!(share(&baseline, &baseline), (4, 4));
        assert_eq!(share(&answer(&[4, 9, 6, 7], None), &baseline), (2, 4));
        assert_eq!(share(&answer(&[4], Some(2)), &baseline), (1, 4));
        assert_eq!(share(&answer(&[], Some(2)), &answer(&[], Some(2))), (1, 1));
        assert_eq!(share(&answer(&[4], None), &answer(&[], Some(2))), (0, 1));
    }
}
