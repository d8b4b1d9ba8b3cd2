//! The replay of answers that another program generated: our prediction at each of their tokens.
//!
//! Our graph reads the other program's tokens, so one different token does not make all later ones different.

use rayon::iter::{IntoParallelRefIterator, ParallelIterator};

use crate::cancellation::Cancellation;
use crate::error::RuntimeError;
use crate::log_probabilities::log_probability;
use crate::logit_rows::for_each_row;
use crate::model::Model;
use crate::sampler::greatest;

/// Version of the algorithm, for action digests: raised when a result may change in its last bit.
pub const VERSION: u32 = 1;

/// Our prediction of a token.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Replayed {
    /// The token that our graph ranks first.
    pub likeliest: u32,
    /// The logarithm of the probability of the token that the other program chose.
    pub log_probability: f64,
}

/// Predicts every token of every answer. Answers run in parallel; the result does not depend on the number of threads.
///
/// * `sequences`: each prompt with the answer to it
///
/// # Errors
/// As [`Model::forward`]; or the computation was cancelled.
pub fn replay(
    model: &Model,
    sequences: &[(&[u32], &[u32])],
    cancellation: Cancellation<'_>,
) -> Result<Vec<Vec<Replayed>>, RuntimeError> {
    let mut out = Vec::with_capacity(sequences.len());
    for group in sequences.chunks(rayon::current_num_threads()) {
        let replayed: Vec<Result<_, RuntimeError>> =
            group.par_iter().map(|(prompt, answer)| of_answer(model, prompt, answer, cancellation)).collect();
        for replayed in replayed {
            out.push(replayed?);
        }
    }
    Ok(out)
}

fn of_answer(
    model: &Model,
    prompt: &[u32],
    answer: &[u32],
    cancellation: Cancellation<'_>,
) -> Result<Vec<Replayed>, RuntimeError> {
    let Some((_, read)) = answer.split_last() else { return Ok(Vec::new()) };
    let first = prompt.len().checked_sub(1).ok_or(RuntimeError::EmptySequence)?;
    let sequence = [prompt, read].concat();
    let mut replayed = Vec::with_capacity(answer.len());
    for_each_row(cancellation, model, &sequence, first..sequence.len(), |position, logits| {
        let token = answer[position - first];
        replayed
            .push(Replayed { likeliest: greatest(logits), log_probability: log_probability(logits, token) });
    })?;
    Ok(replayed)
}
