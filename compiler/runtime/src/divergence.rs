//! The difference between a model's predictions and a baseline's: KL divergence, agreement and change of probability.
//!
//! Both models run over the same [`crate::chunks`] in lockstep; positions `n_ctx / 2 .. n_ctx - 1` are compared, as in
//! [`crate::perplexity`]. Only the logits of some positions are in memory at a time and none are written to a file, so
//! memory does not grow with the text. For a position with the distributions `p` of the model and `b` of the baseline
//! over the vocabulary, and the next token `t` of the text:
//!
//! * divergence: `sum over i of b[i] * (ln b[i] - ln p[i])`, in nats; never below 0
//! * change of probability: `p[t] - b[t]`
//! * agreement: the baseline's most likely token is the model's most likely one (top 1), or among the model's five most
//!   likely (top 5); among equals, the lowest token comes first
//!
//! Everything is computed in f64, with sums in a fixed order. llama.cpp's tool stores the baseline in 16 bits per token
//! and omits tokens with a probability below `exp(-16)`; its numbers differ accordingly.
//!
//! Source: `kl_divergence` in tools/perplexity/perplexity.cpp of llama.cpp.

use rayon::iter::{IntoParallelIterator, ParallelExtend, ParallelIterator};

use crate::cancellation::Cancellation;
use crate::chunks::{self, ChunkOptions};
use crate::error::RuntimeError;
use crate::estimate::{Estimate, Share, mean, percentile};
use crate::log_probabilities::sum_in_lanes;
use crate::logit_rows::pieces;
use crate::model::Model;
use crate::sampler::greatest;
use mc_tensor::math;

/// Version of the algorithm, for action digests: raised when a result may change in its last bit.
pub const VERSION: u32 = 1;

/// Number of positions for which both models hold logits; half as many as for a single model.
pub(crate) const N_ROWS: usize = 32;

/// Number of most likely tokens that count as agreement in the wider sense.
const N_TOP: usize = 5;

/// The difference between a model's predictions of a text and a baseline's.
#[derive(Clone, Debug, PartialEq)]
pub struct Divergence {
    /// Chunks that were run.
    pub n_chunks: usize,
    /// Positions that were compared.
    pub n_scored: usize,
    /// Mean KL divergence, in nats.
    pub mean: Estimate,
    /// Its median.
    pub median: f64,
    /// Its 99.9th percentile.
    pub p999: f64,
    /// Share of positions at which both have the same most likely token.
    pub top_1: Share,
    /// Share of positions at which the baseline's most likely token is among the model's five most likely.
    pub top_5: Share,
    /// Root mean square of the change of the next token's probability.
    pub rms_delta_p: Estimate,
}

/// Compares a model with a baseline on a text. Chunks run in parallel; the result does not depend on the number of
/// threads.
///
/// # Errors
/// If the vocabularies have different sizes, the text fills no chunk, the context is out of range, a model fails, or
/// the computation is cancelled.
pub fn divergence(
    model: &Model,
    baseline: &Model,
    tokens: &[u32],
    options: &ChunkOptions,
    cancellation: Cancellation<'_>,
) -> Result<Divergence, RuntimeError> {
    if model.n_vocab() != baseline.n_vocab() {
        let (found, expected) = (model.n_vocab(), baseline.n_vocab());
        return Err(RuntimeError::OtherVocabulary { found, expected });
    }
    let chunks = chunks::chunks(model, tokens, options)?;
    let first = options.n_ctx / 2;
    let compare = |chunk: &[u32]| compare_chunk(cancellation, [model, baseline], chunk, first);
    let mut found = Vec::new();
    chunks::run_all(cancellation, &chunks, compare, |positions| found.extend(positions))?;
    Ok(summary(chunks.len(), &found))
}

/// One position: the model against the baseline.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Comparison {
    /// The KL divergence.
    pub(crate) divergence: f64,
    /// Change in probability of the next token.
    delta_p: f64,
    /// Number of tokens that the model ranks above the baseline's most likely token.
    pub(crate) rank: usize,
}

/// Compares the positions from `first` on that have a next token.
fn compare_chunk(
    cancellation: Cancellation<'_>,
    models: [&Model; 2],
    chunk: &[u32],
    first: usize,
) -> Result<Vec<Comparison>, RuntimeError> {
    let hidden =
        models.map(|model| model.hidden(cancellation, chunk, &mut model.new_cache(chunk.len()), None));
    let [ours, theirs] = hidden;
    let (ours, theirs) = (ours?, theirs?);
    let mut found = Vec::with_capacity(chunk.len() - first);
    for piece in pieces(first..chunk.len() - 1, N_ROWS) {
        let ours = models[0].logits(cancellation, &ours, piece.clone(), None)?;
        let theirs = models[1].logits(cancellation, &theirs, piece.clone(), None)?;
        let row = |row: usize| compare(ours.row(row), theirs.row(row), chunk[piece.start + row + 1]);
        found.par_extend((0..piece.len()).into_par_iter().map(row));
    }
    Ok(found)
}

/// Compares the logits of one position; `token` is the next token.
///
/// With `Z` the sum of `exp(logit)`, the divergence is `mean under b of (logit of b - logit of p) + ln Zp - ln Zb`, which
/// needs one exponential for each token and model.
pub(crate) fn compare(model: &[f32], baseline: &[f32], token: u32) -> Comparison {
    let (ours, theirs) = (Softmax::of(model), Softmax::of(baseline));
    let differences = baseline.iter().zip(model).map(|(baseline, model)| {
        let logit = f64::from(*baseline);
        math::exp(logit - theirs.greatest) * (logit - f64::from(*model))
    });
    let mean_difference = sum_in_lanes(differences) / theirs.sum;
    let divergence = mean_difference + ours.log_sum() - theirs.log_sum();
    let at =
        |logits: &[f32], softmax: &Softmax| math::exp(f64::from(logits[token as usize]) - softmax.log_sum());
    // Rounding may give a tiny negative number.
    let divergence = divergence.max(0.0);
    Comparison {
        divergence,
        delta_p: at(model, &ours) - at(baseline, &theirs),
        rank: rank(model, greatest(baseline)),
    }
}

/// The sum that turns logits into probabilities.
struct Softmax {
    greatest: f64,
    /// Sum of `exp(logit - greatest)`.
    sum: f64,
}

impl Softmax {
    fn of(logits: &[f32]) -> Self {
        let greatest = f64::from(logits.iter().copied().fold(f32::NEG_INFINITY, f32::max));
        let sum = sum_in_lanes(logits.iter().map(|logit| math::exp(f64::from(*logit) - greatest)));
        Self { greatest, sum }
    }

    /// The logarithm of the sum of `exp(logit)`.
    fn log_sum(&self) -> f64 {
        self.greatest + math::ln(self.sum)
    }
}

/// Number of tokens before this one in descending order of logits; among equals the lowest comes first.
fn rank(logits: &[f32], token: u32) -> usize {
    let own = logits[token as usize];
    let is_before = |(other, logit): &(u32, &f32)| **logit > own || **logit == own && *other < token;
    (0u32..).zip(logits).filter(is_before).count()
}

fn summary(n_chunks: usize, found: &[Comparison]) -> Divergence {
    let divergences: Vec<f64> = found.iter().map(|position| position.divergence).collect();
    let squares: Vec<f64> = found.iter().map(|position| position.delta_p * position.delta_p).collect();
    let within = |n: usize| {
        let n_counted = found.iter().filter(|position| position.rank < n).count();
        Share { n_counted, n: found.len() }
    };
    let mean_divergence = mean(&divergences);
    let mut sorted = divergences;
    sorted.sort_unstable_by(f64::total_cmp);
    Divergence {
        n_chunks,
        n_scored: found.len(),
        mean: mean_divergence,
        median: percentile(&sorted, 0.5),
        p999: percentile(&sorted, 0.999),
        top_1: within(1),
        top_5: within(N_TOP),
        rms_delta_p: root(mean(&squares)),
    }
}

/// The square root of an estimate; its standard error follows from the derivative, `0.5 / root * error`.
fn root(of: Estimate) -> Estimate {
    let value = of.value.sqrt();
    let standard_error = if value > 0.0 { 0.5 / value * of.standard_error } else { 0.0 };
    Estimate { value, standard_error }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_methods, reason = "expected values, compared within a tolerance")]

    use proptest::prelude::*;

    use super::*;

    /// The definition, one token at a time.
    fn by_definition(model: &[f32], baseline: &[f32], token: u32) -> Comparison {
        let probabilities = |logits: &[f32]| -> Vec<f64> {
            let greatest = logits.iter().copied().map(f64::from).fold(f64::MIN, f64::max);
            let weights: Vec<f64> = logits.iter().map(|logit| (f64::from(*logit) - greatest).exp()).collect();
            let sum: f64 = weights.iter().sum();
            weights.iter().map(|weight| weight / sum).collect()
        };
        let (p, b) = (probabilities(model), probabilities(baseline));
        let terms = b.iter().zip(&p).filter(|(b, _)| **b > 0.0);
        let best = (0..b.len()).rev().max_by(|i, j| baseline[*i].total_cmp(&baseline[*j])).unwrap();
        let mut order: Vec<usize> = (0..p.len()).collect();
        order.sort_by(|i, j| model[*j].total_cmp(&model[*i]).then(i.cmp(j)));
        Comparison {
            divergence: terms.map(|(b, p)| b * (b.ln() - p.ln())).sum(),
            delta_p: p[token as usize] - b[token as usize],
            rank: order.iter().position(|token| *token == best).unwrap(),
        }
    }

    fn rows() -> impl Strategy<Value = (Vec<f32>, Vec<f32>, u32)> {
        (1usize..300).prop_flat_map(|n_vocab| {
            let row = || prop::collection::vec(-20f32..20.0, n_vocab);
            (row(), row(), 0..n_vocab as u32)
        })
    }

    proptest! {
        #[test]
        fn a_position_is_compared_by_the_definition((model, baseline, token) in rows()) {
            let (found, expected) = (compare(&model, &baseline, token), by_definition(&model, &baseline, token));
            let close = |found: f64, expected: f64| (found - expected).abs() < 1e-12 * expected.abs().max(1.0);
            prop_assert!(close(found.divergence, expected.divergence), "{found:?} {expected:?}");
            prop_assert!(close(found.delta_p, expected.delta_p), "{found:?} {expected:?}");
            prop_assert_eq!(found.rank, expected.rank);
            prop_assert!(found.divergence >= 0.0);
        }

        #[test]
        fn a_model_does_not_diverge_from_itself((model, _, token) in rows()) {
            prop_assert_eq!(compare(&model, &model, token), Comparison { divergence: 0.0, delta_p: 0.0, rank: 0 });
        }

        #[test]
        fn adding_a_constant_to_all_logits_changes_nothing(
            (model, baseline, token) in rows(),
            shift in -8i8..8,
        ) {
            // Multiples of 1/16 are exact in f32, so the sums are exact.
            let exact = |row: &[f32]| -> Vec<f32> { row.iter().map(|x| (x * 16.0).round() / 16.0).collect() };
            let (model, baseline) = (exact(&model), exact(&baseline));
            let shifted: Vec<f32> = model.iter().map(|logit| logit + f32::from(shift)).collect();
            let (plain, shifted) = (compare(&model, &baseline, token), compare(&shifted, &baseline, token));
            prop_assert!((plain.divergence - shifted.divergence).abs() < 1e-12);
            prop_assert!((plain.delta_p - shifted.delta_p).abs() < 1e-12);
            prop_assert_eq!(plain.rank, shifted.rank);
        }
    }

    #[test]
    fn ranks_start_at_the_likeliest_and_the_lowest_of_equal_ones() {
        let logits = [1.0, 3.0, 2.0, 3.0];
        assert_eq!([1, 3, 2, 0].map(|token| rank(&logits, token)), [0, 1, 2, 3]);
    }

    #[test]
    fn a_summary_counts_and_averages() {
        let position = |divergence, delta_p, rank| Comparison { divergence, delta_p, rank };
        let found = summary(1, &[position(0.1, 0.3, 0), position(0.3, -0.4, 4), position(0.2, 0.0, 5)]);
        assert!((found.mean.value - 0.2).abs() < 1e-15 && found.median == 0.2);
        assert!((found.p999 - (0.3 - 0.1 * 0.002)).abs() < 1e-12, "{found:?}");
        assert_eq!((found.top_1.n_counted, found.top_5.n_counted, found.n_scored), (1, 2, 3));
        assert!((found.rms_delta_p.value - (0.25f64 / 3.0).sqrt()).abs() < 1e-15, "{found:?}");
        assert_eq!(
            summary(1, &[position(0.0, 0.0, 0)]).rms_delta_p,
            Estimate { value: 0.0, standard_error: 0.0 }
        );
    }
}
