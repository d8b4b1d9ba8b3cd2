//! Statistics of a text compared with their definitions, on the inputs that the plain reference records.

use std::collections::BTreeMap;

use mc_runtime::cancellation::Cancellation;
use mc_runtime::chunks::ChunkOptions;
use mc_runtime::imatrix;
use mc_runtime::statistics::channel_max::CHANNEL_MAX;
use mc_runtime::statistics::diagonal::DIAGONAL;
use mc_runtime::statistics::gram::GRAM;
use mc_runtime::statistics::statistic::Statistic;
use mc_runtime::statistics::{self, Measurement, STATISTICS};
use mc_tensor::model_tensor::ModelTensor;

use crate::{reference, toy};

const OPTIONS: ChunkOptions = ChunkOptions { n_ctx: 16, bos: Some(1), max_chunks: None };
const N_TOKENS: usize = 50;

fn measure(statistic: &'static Statistic) -> Measurement {
    let (model, tokens) = (toy::model(toy::decoder()), toy::tokens(N_TOKENS));
    statistics::measure(statistic, &model, &tokens, &OPTIONS, Cancellation::NEVER).unwrap()
}

/// All input rows of each matrix, in f64.
fn inputs() -> BTreeMap<ModelTensor, Vec<Vec<f64>>> {
    let decoder = toy::decoder();
    let weights = toy::weights(&decoder);
    let mut inputs: BTreeMap<ModelTensor, Vec<Vec<f64>>> = BTreeMap::new();
    for chunk in toy::tokens(N_TOKENS).chunks_exact(16) {
        let mut chunk = chunk.to_vec();
        chunk[0] = 1;
        for (tensor, rows) in reference::logits(&decoder, &weights, &chunk).1 {
            inputs.entry(tensor).or_default().extend(rows);
        }
    }
    inputs
}

fn check(statistic: &'static Statistic, expected: impl Fn(&[Vec<f64>]) -> Vec<f64>) {
    let measurement = measure(statistic);
    assert_eq!(measurement.n_chunks, 3);
    let inputs = inputs();
    assert!(!inputs.is_empty());
    for (tensor, rows) in &inputs {
        let measured = &measurement.matrices[tensor];
        assert_eq!((measured.n_rows.as_slice(), measured.n_cols), (&[48][..], rows[0].len()), "{tensor}");
        let n_values: u64 = (statistic.shape)(measured.n_cols as u64).iter().product();
        assert_eq!(measured.values.len() as u64, n_values, "{tensor}");
        for (found, expected) in measured.values.iter().zip(expected(rows)) {
            assert!((f64::from(*found) - expected).abs() < 1e-4 * expected.abs().max(1.0), "{tensor}");
        }
    }
}

#[test]
fn a_diagonal_is_the_mean_of_squares() {
    check(&DIAGONAL, |rows| {
        let square = |col: usize| rows.iter().map(|row| row[col] * row[col]).sum::<f64>() / rows.len() as f64;
        (0..rows[0].len()).map(square).collect()
    });
}

#[test]
fn a_gram_matrix_has_the_products_of_all_pairs() {
    check(&GRAM, |rows| {
        let n_cols = rows[0].len();
        let product = |i: usize| rows.iter().map(|row| row[i / n_cols] * row[i % n_cols]).sum();
        (0..n_cols * n_cols).map(product).collect()
    });
}

#[test]
fn a_channel_maximum_is_the_largest_magnitude() {
    check(&CHANNEL_MAX, |rows| {
        let max = |col: usize| rows.iter().map(|row| row[col].abs()).fold(0.0, f64::max);
        (0..rows[0].len()).map(max).collect()
    });
}

#[test]
fn a_diagonal_has_the_bits_of_an_importance_matrix() {
    let (model, tokens) = (toy::model(toy::decoder()), toy::tokens(N_TOKENS));
    let imatrix = imatrix::imatrix(&model, &tokens, &OPTIONS, Cancellation::NEVER).unwrap();
    let diagonal = measure(&DIAGONAL);
    assert!(diagonal.matrices.keys().eq(imatrix.entries.keys()));
    for (tensor, entry) in &imatrix.entries {
        assert_eq!(diagonal.matrices[tensor].values, entry.importance(), "{tensor}");
    }
}

#[test]
fn statistics_do_not_depend_on_the_number_of_threads() {
    let run = |statistic, n_threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(n_threads).build().unwrap();
        pool.install(|| measure(statistic))
    };
    for statistic in STATISTICS {
        let expected = run(statistic, 1);
        for n_threads in [2, 5] {
            assert_eq!(run(statistic, n_threads), expected, "{statistic}, {n_threads} threads");
        }
    }
}

#[test]
fn names_are_unique() {
    for statistic in STATISTICS {
        assert_eq!(statistics::by_name(statistic.name), Some(*statistic));
    }
    assert_eq!(statistics::names(), ["diagonal", "gram", "channel-max"]);
}

#[test]
fn a_text_that_is_too_short_is_refused() {
    let (model, tokens) = (toy::model(toy::decoder()), toy::tokens(15));
    for statistic in STATISTICS {
        assert!(statistics::measure(statistic, &model, &tokens, &OPTIONS, Cancellation::NEVER).is_err());
    }
}
