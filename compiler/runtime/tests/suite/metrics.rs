//! Perplexity, log probabilities and importance matrices.

#![expect(clippy::disallowed_methods, reason = "expected values, compared within a tolerance")]

use mc_runtime::cancellation::Cancellation;
use mc_runtime::chunks::ChunkOptions;
use mc_runtime::imatrix::{self, Imatrix};
use mc_runtime::log_probabilities;
use mc_runtime::logits::LogitPositions;
use mc_runtime::model::Model;
use mc_runtime::perplexity::{self, Perplexity};
use mc_runtime::weight::Weight;
use mc_tensor::model_tensor::ModelTensor;

use crate::{reference, toy};

const OPTIONS: ChunkOptions = ChunkOptions { n_ctx: 16, bos: Some(1), max_chunks: None };

#[test]
fn equal_logits_have_the_size_of_the_vocabulary_as_perplexity() {
    let decoder = toy::decoder();
    let mut weights = toy::weights(&decoder);
    weights.insert(ModelTensor::OutputNorm, Weight::from_f32(vec![32], vec![0.0; 32]).unwrap());
    let model = Model::new(&decoder, weights).unwrap();
    let result = perplexity::perplexity(&model, &toy::tokens(70), &OPTIONS, Cancellation::NEVER).unwrap();
    assert!((result.perplexity - 41.0).abs() < 1e-4, "{result:?}");
    assert_eq!((result.n_chunks, result.n_scored), (4, 4 * 7));
    assert!(result.standard_error < 1e-4, "{result:?}");
}

/// The definition, from the reference's logits.
fn expected_perplexity(tokens: &[u32]) -> Perplexity {
    let decoder = toy::decoder();
    let weights = toy::weights(&decoder);
    let mut nlls = Vec::new();
    for chunk in tokens.chunks_exact(16) {
        let mut chunk = chunk.to_vec();
        chunk[0] = 1;
        let (logits, _) = reference::logits(&decoder, &weights, &chunk);
        for position in 8..15 {
            let sum: f64 = logits[position].iter().map(|logit| logit.exp()).sum();
            nlls.push(sum.ln() - logits[position][chunk[position + 1] as usize]);
        }
    }
    let n = nlls.len() as f64;
    let nll: f64 = nlls.iter().sum();
    let perplexity = (nll / n).exp();
    let deviation = nlls.iter().map(|x| (x - nll / n) * (x - nll / n)).sum::<f64>();
    let standard_error = perplexity * (deviation / n / (n - 1.0)).sqrt();
    Perplexity { nll, n_scored: nlls.len(), n_chunks: tokens.len() / 16, perplexity, standard_error }
}

#[test]
fn perplexity_scores_the_second_half_of_every_chunk() {
    let tokens = toy::tokens(70);
    let expected = expected_perplexity(&tokens);
    let found =
        perplexity::perplexity(&toy::model(toy::decoder()), &tokens, &OPTIONS, Cancellation::NEVER).unwrap();
    assert_eq!((found.n_scored, found.n_chunks), (expected.n_scored, expected.n_chunks));
    assert!((found.nll - expected.nll).abs() < 1e-3, "{found:?} {expected:?}");
    assert!((found.perplexity / expected.perplexity - 1.0).abs() < 1e-5, "{found:?} {expected:?}");
    assert!((found.standard_error / expected.standard_error - 1.0).abs() < 1e-4, "{found:?} {expected:?}");
}

#[test]
fn metrics_do_not_depend_on_the_number_of_threads() {
    let model = toy::model(toy::decoder());
    let tokens = toy::tokens(200);
    let run = |n_threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(n_threads).build().unwrap();
        pool.install(|| {
            let perplexity = perplexity::perplexity(&model, &tokens, &OPTIONS, Cancellation::NEVER).unwrap();
            let imatrix = imatrix::imatrix(&model, &tokens, &OPTIONS, Cancellation::NEVER).unwrap();
            (perplexity.nll.to_bits(), perplexity.standard_error.to_bits(), imatrix)
        })
    };
    let expected = run(1);
    assert_eq!(run(2), expected);
    assert_eq!(run(5), expected);
}

#[test]
fn the_text_must_fill_a_chunk_and_the_chunk_must_fit_the_context() {
    let model = toy::model(toy::decoder());
    let error = |n_tokens, n_ctx| {
        let options = ChunkOptions { n_ctx, ..OPTIONS };
        perplexity::perplexity(&model, &toy::tokens(n_tokens), &options, Cancellation::NEVER)
            .unwrap_err()
            .to_string()
    };
    assert_eq!(
        error(15, 16),
        "The text has 15 tokens; expected at least 16, one whole chunk: give more text or a smaller context"
    );
    assert_eq!(error(99, 81), "A context of 81 tokens cannot be used; expected 4 to 80");
    assert_eq!(error(99, 1), "A context of 1 tokens cannot be used; expected 4 to 80");
    assert_eq!(ChunkOptions::for_model(&model, None).n_ctx, 80);
}

fn imatrix_of(tokens: &[u32], max_chunks: Option<usize>) -> Imatrix {
    let options = ChunkOptions { max_chunks, ..OPTIONS };
    imatrix::imatrix(&toy::model(toy::decoder()), tokens, &options, Cancellation::NEVER).unwrap()
}

#[test]
fn an_imatrix_sums_the_squared_inputs_of_each_matrix() {
    let decoder = toy::decoder();
    let weights = toy::weights(&decoder);
    let tokens = toy::tokens(50);
    let imatrix = imatrix_of(&tokens, None);
    assert_eq!((imatrix.n_chunks, imatrix.n_ctx), (3, 16));
    let mut sums: Vec<(ModelTensor, Vec<f64>)> = Vec::new();
    for chunk in tokens.chunks_exact(16) {
        let mut chunk = chunk.to_vec();
        chunk[0] = 1;
        for (i, (tensor, rows)) in reference::logits(&decoder, &weights, &chunk).1.into_iter().enumerate() {
            if sums.len() == i {
                sums.push((tensor, vec![0.0; rows[0].len()]));
            }
            for row in &rows {
                for (sum, value) in sums[i].1.iter_mut().zip(row) {
                    *sum += value * value;
                }
            }
        }
    }
    for (tensor, expected) in &sums {
        let entry = &imatrix.entries[tensor];
        assert_eq!(entry.counts, [48]);
        assert_eq!(entry.importance()[3], entry.in_sum2[3] / 48.0);
        for (found, expected) in entry.in_sum2.iter().zip(expected) {
            assert!((f64::from(*found) - expected).abs() < 1e-4 * expected.max(1.0), "{tensor}");
        }
    }
}

#[test]
fn an_imatrix_has_every_matrix_but_embedding_and_head() {
    let imatrix = imatrix_of(&toy::tokens(64), Some(2));
    assert_eq!(imatrix.n_chunks, 2);
    let matrices = toy::shapes(&toy::decoder()).into_iter().filter(|(tensor, _)| {
        tensor.is_quantizable() && !matches!(tensor, ModelTensor::TokenEmbedding | ModelTensor::Output)
    });
    let mut expected: Vec<ModelTensor> = matrices.map(|(tensor, _)| tensor).collect();
    expected.sort();
    assert_eq!(imatrix.entries.keys().copied().collect::<Vec<_>>(), expected);
    let (block, entries) = (1, &imatrix.entries);
    assert_eq!(entries[&ModelTensor::AttnQ { block }], entries[&ModelTensor::AttnV { block }]);
    assert_eq!(entries[&ModelTensor::FfnDown { block }].in_sum2.len(), 50);
}

#[test]
fn log_probabilities_are_those_of_the_reference() {
    let decoder = toy::decoder();
    let tokens = toy::tokens(79);
    let (logits, _) = reference::logits(&decoder, &toy::weights(&decoder), &tokens);
    let found = log_probabilities::log_probabilities(&toy::model(decoder), &tokens).unwrap();
    assert_eq!(found.len(), 78);
    for (i, found) in found.iter().enumerate() {
        let sum: f64 = logits[i].iter().map(|logit| logit.exp()).sum();
        let expected = logits[i][tokens[i + 1] as usize] - sum.ln();
        assert!((found - expected).abs() < 1e-4, "{found} {expected}");
    }
}

/// FNV-1a, to compare many bits as one number.
fn hash(bits: impl IntoIterator<Item = u64>) -> u64 {
    let mix = |hash: u64, bits: u64| (hash ^ bits).wrapping_mul(0x0000_0100_0000_01b3);
    bits.into_iter().fold(0xcbf2_9ce4_8422_2325, mix)
}

/// If these numbers change, results stored by others no longer match this code: raise `cpu_exact::CPU_EXACT.version`
/// (or the metric's own `VERSION`) in the same change.
#[test]
fn results_have_these_bits_on_every_machine() {
    let model = toy::model(toy::decoder());
    let tokens = toy::tokens(80);
    let mut cache = model.new_cache(80);
    let logits = model.forward(&tokens, &mut cache, &LogitPositions::All, None).unwrap();
    let logits = hash(logits.values().iter().map(|logit| u64::from(logit.to_bits())));
    let perplexity = perplexity::perplexity(&model, &tokens, &OPTIONS, Cancellation::NEVER).unwrap();
    let perplexity =
        hash([perplexity.nll, perplexity.perplexity, perplexity.standard_error].map(f64::to_bits));
    let imatrix = imatrix::imatrix(&model, &tokens, &OPTIONS, Cancellation::NEVER).unwrap();
    let sums = imatrix.entries.values().flat_map(|entry| &entry.in_sum2);
    let imatrix = hash(sums.map(|sum| u64::from(sum.to_bits())));
    let expected = [0x0940_8a71_04ba_500e, 0x05fa_6218_dc83_883e, 0x48c0_73e7_6076_7fa2];
    assert_eq!([logits, perplexity, imatrix], expected);
}
