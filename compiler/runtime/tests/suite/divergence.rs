//! Divergence of a model from a baseline.

#![expect(clippy::disallowed_methods, reason = "expected values, compared within a tolerance")]

use mc_runtime::cancellation::Cancellation;
use mc_runtime::chunks::ChunkOptions;
use mc_runtime::divergence::{Divergence, divergence};
use mc_runtime::error::RuntimeError;
use mc_runtime::model::Model;
use mc_runtime::perplexity::perplexity;
use mc_runtime::weight::Weight;
use mc_runtime::weights::Weights;
use mc_tensor::model_tensor::ModelTensor;

use crate::{reference, toy};

const OPTIONS: ChunkOptions = ChunkOptions { n_ctx: 80, bos: Some(1), max_chunks: None };

/// The toy's weights, with one of its norms slightly larger.
fn other_weights() -> Weights {
    let mut weights = toy::weights(&toy::decoder());
    weights.insert(ModelTensor::FfnNorm { block: 1 }, Weight::from_f32(vec![32], vec![1.4; 32]).unwrap());
    weights
}

fn other() -> Model {
    Model::new(&toy::decoder(), other_weights()).unwrap()
}

fn compared(model: &Model, baseline: &Model, n_tokens: usize) -> Divergence {
    divergence(model, baseline, &toy::tokens(n_tokens), &OPTIONS, Cancellation::NEVER).unwrap()
}

/// The divergence and the change of probability at each position, by definition, from the reference's logits.
fn expected(tokens: &[u32]) -> Vec<(f64, f64)> {
    let decoder = toy::decoder();
    let probabilities = |logits: &[f64]| -> Vec<f64> {
        let sum: f64 = logits.iter().map(|logit| logit.exp()).sum();
        logits.iter().map(|logit| logit.exp() / sum).collect()
    };
    let mut found = Vec::new();
    for chunk in tokens.chunks_exact(80) {
        let mut chunk = chunk.to_vec();
        chunk[0] = 1;
        let (ours, _) = reference::logits(&decoder, &other_weights(), &chunk);
        let (theirs, _) = reference::logits(&decoder, &toy::weights(&decoder), &chunk);
        for position in 40..79 {
            let (p, b) = (probabilities(&ours[position]), probabilities(&theirs[position]));
            let next = chunk[position + 1] as usize;
            found.push((b.iter().zip(&p).map(|(b, p)| b * (b / p).ln()).sum(), p[next] - b[next]));
        }
    }
    found
}

#[test]
fn the_second_half_of_every_chunk_is_compared() {
    let found = compared(&other(), &toy::model(toy::decoder()), 250);
    let expected = expected(&toy::tokens(250));
    let n = expected.len() as f64;
    assert_eq!((found.n_chunks, found.n_scored), (3, expected.len()));
    let close =
        |found: f64, expected: f64| assert!((found / expected - 1.0).abs() < 1e-3, "{found} {expected}");
    close(found.mean.value, expected.iter().map(|(divergence, _)| divergence).sum::<f64>() / n);
    close(found.rms_delta_p.value, (expected.iter().map(|(_, delta)| delta * delta).sum::<f64>() / n).sqrt());
    let mut sorted: Vec<f64> = expected.iter().map(|(divergence, _)| *divergence).collect();
    sorted.sort_by(f64::total_cmp);
    close(found.median, (sorted[58] + sorted[58]) / 2.0);
    // 99.9 % of the way to the last of 117 values.
    close(found.p999, sorted[115] + 0.884 * (sorted[116] - sorted[115]));
    assert!(found.top_1.n_counted < found.n_scored && found.top_1.n_counted < found.top_5.n_counted);
}

#[test]
fn a_model_agrees_with_itself() {
    let model = toy::model(toy::decoder());
    let found = compared(&model, &toy::model(toy::decoder()), 170);
    assert_eq!([found.mean.value, found.mean.standard_error, found.median, found.p999], [0.0; 4]);
    assert_eq!((found.rms_delta_p.value, found.rms_delta_p.standard_error), (0.0, 0.0));
    assert_eq!((found.top_1.n_counted, found.top_5.n_counted), (found.n_scored, found.n_scored));
}

#[test]
fn a_divergence_does_not_depend_on_the_number_of_threads() {
    let (model, baseline) = (other(), toy::model(toy::decoder()));
    let run = |n_threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(n_threads).build().unwrap();
        let found = pool.install(|| compared(&model, &baseline, 400));
        let bits = [found.mean.value, found.mean.standard_error, found.p999, found.rms_delta_p.value];
        (bits.map(f64::to_bits), found)
    };
    let expected = run(1);
    assert_eq!(run(2), expected);
    assert_eq!(run(5), expected);
}

#[test]
fn the_positions_of_a_perplexity_are_compared() {
    let (model, tokens) = (toy::model(toy::decoder()), toy::tokens(250));
    for n_ctx in [4, 5, 33, 80] {
        let options = ChunkOptions { n_ctx, ..OPTIONS };
        let found = divergence(&other(), &model, &tokens, &options, Cancellation::NEVER).unwrap();
        let scored = perplexity(&model, &tokens, &options, Cancellation::NEVER).unwrap();
        assert_eq!((found.n_scored, found.n_chunks), (scored.n_scored, scored.n_chunks));
    }
}

#[test]
fn models_of_other_vocabularies_are_not_compared() {
    let mut decoder = toy::decoder();
    decoder.n_vocab = 40;
    let smaller = toy::model(decoder);
    let run = |model: &Model, baseline: &Model, options: &ChunkOptions| {
        divergence(model, baseline, &toy::tokens(90), options, Cancellation::NEVER).unwrap_err().to_string()
    };
    let model = toy::model(toy::decoder());
    assert_eq!(
        run(&smaller, &model, &OPTIONS),
        "The model has 40 tokens; expected 41, as many as the baseline"
    );
    let long = ChunkOptions { n_ctx: 81, ..OPTIONS };
    assert_eq!(run(&model, &model, &long), "A context of 81 tokens cannot be used; expected 4 to 80");
}

#[test]
fn a_cancelled_divergence_stops() {
    let (model, baseline) = (other(), toy::model(toy::decoder()));
    let is_cancelled = || true;
    let cancelled =
        divergence(&model, &baseline, &toy::tokens(90), &OPTIONS, Cancellation::new(&is_cancelled));
    assert!(matches!(cancelled, Err(RuntimeError::Cancelled)));
}

/// If these bits change, results stored by others no longer match this code: raise `divergence::VERSION`, or the
/// version of the backend, in the same change.
#[test]
fn a_divergence_has_these_bits_on_every_machine() {
    let found = compared(&other(), &toy::model(toy::decoder()), 250);
    let bits =
        [found.mean.value, found.mean.standard_error, found.median, found.p999, found.rms_delta_p.value]
            .map(f64::to_bits);
    let expected = [
        0x3fe3_c2a9_0161_e2df,
        0x3fb0_818a_7225_9a6e,
        0x3fd9_1e56_2d6e_4950,
        0x4011_209d_067d_b9b4,
        0x3fb2_daf7_b7d9_da78,
    ];
    assert_eq!(bits, expected);
    assert_eq!((found.top_1.n_counted, found.top_5.n_counted), (64, 109));
}
