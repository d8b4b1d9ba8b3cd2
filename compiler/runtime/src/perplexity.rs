//! Perplexity as llama.cpp defines it.
//!
//! The text is split into [`crate::chunks`]; in each, positions `n_ctx / 2 .. n_ctx - 1` predict the next token.
//!
//! * `nll`: sum of `-ln p(token)` over all scored tokens, in nats, chunk after chunk in f64
//! * `perplexity = exp(nll / n_scored)`
//! * `standard_error = perplexity * sqrt((mean(x^2) - mean(x)^2) / (n_scored - 1))` with `x = -ln p`
//!
//! Source: `perplexity` in tools/perplexity/perplexity.cpp of llama.cpp.

use std::ops::Range;

use crate::cancellation::Cancellation;
use crate::chunks::{self, ChunkOptions};
use crate::error::RuntimeError;
use crate::estimate::Estimate;
use crate::log_probabilities;
use crate::model::Model;
use mc_tensor::math;

/// Version of the algorithm, for action digests: raised when a result may change in its last bit.
pub const VERSION: u32 = 1;

/// The perplexity of a text.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Perplexity {
    /// Sum of the negative log-likelihoods, in nats.
    pub nll: f64,
    /// Number of scored tokens.
    pub n_scored: usize,
    /// Number of chunks that were run.
    pub n_chunks: usize,
    /// `exp(nll / n_scored)`.
    pub perplexity: f64,
    /// Standard error of `perplexity`.
    pub standard_error: f64,
}

impl Perplexity {
    /// The 95 % confidence interval of `perplexity`: the exponential of the interval of the mean of `-ln p`.
    pub fn interval(&self) -> Range<f64> {
        let mean = Estimate {
            value: self.nll / self.n_scored as f64,
            standard_error: self.standard_error / self.perplexity,
        };
        let Range { start, end } = mean.interval();
        math::exp(start)..math::exp(end)
    }
}

/// Computes the perplexity of a text. Chunks run in parallel; the result does not depend on the number of threads.
///
/// # Errors
/// If the text fills no chunk, the context is out of range, the model fails, or the computation is cancelled.
pub fn perplexity(
    model: &Model,
    tokens: &[u32],
    options: &ChunkOptions,
    cancellation: Cancellation<'_>,
) -> Result<Perplexity, RuntimeError> {
    let chunks = chunks::chunks(model, tokens, options)?;
    let first = options.n_ctx / 2;
    let score = |chunk: &[u32]| log_probabilities::log_probabilities_from(cancellation, model, chunk, first);
    let (mut nll, mut squares, mut n_scored) = (0f64, 0f64, 0usize);
    chunks::run_all(cancellation, &chunks, score, |log_probabilities: Vec<f64>| {
        for log_probability in &log_probabilities {
            nll -= log_probability;
            squares += log_probability * log_probability;
        }
        n_scored += log_probabilities.len();
    })?;
    let n = n_scored as f64;
    let perplexity = math::exp(nll / n);
    let variance = squares / n - (nll / n) * (nll / n);
    let standard_error = if variance > 0.0 { perplexity * (variance / (n - 1.0)).sqrt() } else { 0.0 };
    Ok(Perplexity { nll, n_scored, n_chunks: chunks.len(), perplexity, standard_error })
}
