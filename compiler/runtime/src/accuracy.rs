//! Answers of a model to many prompts, for comparison with the expected ones.
//!
//! This module only generates tokens; the caller decodes and grades them.

use std::ops::ControlFlow;

use rayon::iter::{IntoParallelRefIterator, ParallelIterator};

use crate::cancellation::Cancellation;
use crate::error::RuntimeError;
use crate::generate::{self, GenerateOptions, Generated};
use crate::model::Model;
use crate::sampler::Sampling;

/// Version of the algorithm, for action digests: raised when answers may change.
pub const VERSION: u32 = generate::VERSION;

/// One question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// The prompt, up to the token before the answer.
    pub prompt: Vec<u32>,
    /// Maximum number of tokens in the answer.
    pub max_tokens: usize,
}

/// Generates the greedy answer to each question, in order.
///
/// Questions run in parallel, as many at once as there are threads; an answer depends only on its question. Reports the
/// number of answered questions as progress.
///
/// # Errors
/// The error of the first question, in order, that fails (see [`generate::generate`]), or
/// [`RuntimeError::Cancelled`].
pub fn answers(
    model: &Model,
    questions: &[Question],
    stop: &[u32],
    cancellation: Cancellation<'_>,
) -> Result<Vec<Generated>, RuntimeError> {
    let answer = |question: &Question| {
        let options = GenerateOptions {
            sampling: Sampling::Greedy,
            max_tokens: question.max_tokens,
            stop: stop.to_vec(),
        };
        let prompt = &question.prompt;
        generate::generate_unless(cancellation, model, prompt, &options, |_| ControlFlow::Continue(()))
    };
    let mut out = Vec::with_capacity(questions.len());
    for group in questions.chunks(rayon::current_num_threads()) {
        let answers: Vec<Result<Generated, RuntimeError>> = group.par_iter().map(answer).collect();
        for answer in answers {
            out.push(answer?);
        }
        cancellation.report(out.len(), questions.len());
    }
    Ok(out)
}
