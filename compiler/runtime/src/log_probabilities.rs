//! Logarithms of probabilities, from logits, in f64.

use crate::cancellation::Cancellation;
use crate::error::RuntimeError;
use crate::model::Model;
use mc_tensor::math;

/// Positions whose logits are held at once, to bound memory for large vocabularies.
const N_ROWS: usize = 64;

/// `ln(softmax(logits)[token])`: never above 0, natural logarithm.
///
/// Each `exp(logit - max)` is f32; their sum runs in sixteen lanes of f64, folded 16 → 8 → 4 → 2 → 1.
pub fn log_probability(logits: &[f32], token: u32) -> f64 {
    let greatest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut lanes = [0f64; 16];
    for group in logits.chunks(16) {
        for (lane, logit) in lanes.iter_mut().zip(group) {
            *lane += f64::from(math::exp_f32(logit - greatest));
        }
    }
    for n in [8, 4, 2, 1] {
        for lane in 0..n {
            lanes[lane] += lanes[lane + n];
        }
    }
    f64::from(logits[token as usize]) - f64::from(greatest) - math::ln(lanes[0])
}

/// The log probability of each token after the first, given those before it: `tokens.len() - 1` numbers.
///
/// # Errors
/// As [`Model::forward`].
pub fn log_probabilities(model: &Model, tokens: &[u32]) -> Result<Vec<f64>, RuntimeError> {
    log_probabilities_from(Cancellation::NEVER, model, tokens, 0)
}

/// As [`log_probabilities`], but only of tokens after position `first`, whose own token is not scored.
///
/// The whole sequence is run at once up to the head, and the head some positions at a time.
pub(crate) fn log_probabilities_from(
    cancellation: Cancellation<'_>,
    model: &Model,
    tokens: &[u32],
    first: usize,
) -> Result<Vec<f64>, RuntimeError> {
    let mut cache = model.new_cache(tokens.len());
    let hidden = model.hidden(cancellation, tokens, &mut cache, None)?;
    let mut out = Vec::with_capacity(tokens.len());
    while first + out.len() + 1 < tokens.len() {
        let start = first + out.len();
        let end = (start + N_ROWS).min(tokens.len() - 1);
        let logits = model.logits(cancellation, &hidden, start..end, None)?;
        let scored = logits.rows().zip(&tokens[start + 1..]);
        out.extend(scored.map(|(logits, token)| log_probability(logits, *token)));
    }
    Ok(out)
}
