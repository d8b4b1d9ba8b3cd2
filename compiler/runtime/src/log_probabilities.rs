//! Logarithms of probabilities, computed from logits in f64.

use crate::cancellation::Cancellation;
use crate::error::RuntimeError;
use crate::logit_rows::for_each_row;
use crate::model::Model;
use mc_tensor::math;

/// Number of lanes of every sum over a vocabulary.
const N_LANES: usize = 16;

/// `ln(softmax(logits)[token])`: never above 0, natural logarithm.
///
/// Each `exp(logit - max)` is f32; their sum runs in sixteen lanes of f64, folded 16 → 8 → 4 → 2 → 1.
pub fn log_probability(logits: &[f32], token: u32) -> f64 {
    log_probability_of(logits, log_sum(logits), token)
}

/// The log probabilities of all tokens, by token id, each as in [`log_probability`].
pub fn all_log_probabilities(logits: &[f32]) -> Vec<f64> {
    let sum = log_sum(logits);
    (0u32..).zip(logits).map(|(token, _)| log_probability_of(logits, sum, token)).collect()
}

/// The largest logit, and the logarithm of the sum of `exp(logit - largest)`.
fn log_sum(logits: &[f32]) -> (f32, f64) {
    let greatest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut lanes = [0f64; N_LANES];
    for group in logits.chunks(N_LANES) {
        for (lane, logit) in lanes.iter_mut().zip(group) {
            *lane += f64::from(math::exp_f32(logit - greatest));
        }
    }
    (greatest, math::ln(fold(lanes)))
}

fn log_probability_of(logits: &[f32], (greatest, log_sum): (f32, f64), token: u32) -> f64 {
    f64::from(logits[token as usize]) - f64::from(greatest) - log_sum
}

/// Sums numbers in the same order on every machine: sixteen lanes, which are then folded.
pub(crate) fn sum_in_lanes(numbers: impl Iterator<Item = f64>) -> f64 {
    let mut lanes = [0f64; N_LANES];
    for (index, number) in numbers.enumerate() {
        lanes[index % N_LANES] += number;
    }
    fold(lanes)
}

/// Adds lanes 16 → 8 → 4 → 2 → 1, upper half onto lower.
fn fold(mut lanes: [f64; N_LANES]) -> f64 {
    for n in [8, 4, 2, 1] {
        for lane in 0..n {
            lanes[lane] += lanes[lane + n];
        }
    }
    lanes[0]
}

/// The log probability of each token after the first, given those before it: `tokens.len() - 1` numbers.
///
/// # Errors
/// As [`Model::forward`].
pub fn log_probabilities(model: &Model, tokens: &[u32]) -> Result<Vec<f64>, RuntimeError> {
    log_probabilities_from(Cancellation::NEVER, model, tokens, 0)
}

/// Like [`log_probabilities`], but only for tokens after position `first`; the token at `first` is not scored.
pub(crate) fn log_probabilities_from(
    cancellation: Cancellation<'_>,
    model: &Model,
    tokens: &[u32],
    first: usize,
) -> Result<Vec<f64>, RuntimeError> {
    let scored = first..tokens.len().saturating_sub(1);
    let mut out = Vec::with_capacity(scored.len());
    for_each_row(cancellation, model, tokens, scored, |position, logits| {
        out.push(log_probability(logits, tokens[position + 1]));
    })?;
    Ok(out)
}
