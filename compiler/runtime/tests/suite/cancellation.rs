//! A computation stops soon after its result is no longer needed.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use mc_runtime::accuracy::{self, Question};
use mc_runtime::cancellation::Cancellation;
use mc_runtime::chunks::ChunkOptions;
use mc_runtime::error::RuntimeError;
use mc_runtime::imatrix;
use mc_runtime::perplexity;
use mc_runtime::statistics;

use crate::toy;

const OPTIONS: ChunkOptions = ChunkOptions { n_ctx: 16, bos: Some(1), max_chunks: None };

/// Cancels `run` at the `n`th check, with one thread, and returns the number of checks.
fn n_checks_of(
    n: usize,
    run: impl Fn(Cancellation<'_>) -> Result<(), RuntimeError> + Sync,
) -> (usize, Result<(), RuntimeError>) {
    let n_checks = AtomicUsize::new(0);
    let is_cancelled = || n_checks.fetch_add(1, Ordering::SeqCst) + 1 >= n;
    let one = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    let result = one.install(|| run(Cancellation::new(&is_cancelled)));
    (n_checks.into_inner(), result)
}

fn check(n_products: usize, run: impl Fn(Cancellation<'_>) -> Result<(), RuntimeError> + Sync) {
    let (n_checks, result) = n_checks_of(usize::MAX, &run);
    result.unwrap();
    assert_eq!(n_checks, n_products);
    for n in 1..=n_products {
        let (n_checks, result) = n_checks_of(n, &run);
        assert!(matches!(result, Err(RuntimeError::Cancelled)), "{n}: {result:?}");
        assert_eq!(n_checks, n, "nothing more is computed");
    }
}

/// Number of products in one pass over the layers.
fn n_in_blocks() -> usize {
    7 * toy::decoder().blocks.len()
}

#[test]
fn a_perplexity_checks_for_cancellation_before_each_product() {
    let model = toy::model(toy::decoder());
    let tokens = toy::tokens(2 * OPTIONS.n_ctx);
    check(2 * (n_in_blocks() + 1), |cancellation| {
        perplexity::perplexity(&model, &tokens, &OPTIONS, cancellation).map(|_| ())
    });
}

#[test]
fn an_importance_matrix_checks_for_cancellation_before_each_product() {
    let model = toy::model(toy::decoder());
    let tokens = toy::tokens(2 * OPTIONS.n_ctx);
    check(2 * n_in_blocks(), |cancellation| {
        imatrix::imatrix(&model, &tokens, &OPTIONS, cancellation).map(|_| ())
    });
}

#[test]
fn answers_check_for_cancellation_before_each_product() {
    let model = toy::model(toy::decoder());
    let questions = [[3, 1], [4, 1]].map(|prompt| Question { prompt: prompt.to_vec(), max_tokens: 2 });
    // The prompt yields the first of two tokens.
    check(2 * 2 * (n_in_blocks() + 1), |cancellation| {
        accuracy::answers(&model, &questions, &[], cancellation).map(|_| ())
    });
}

/// The progress reports that the caller of `run` receives, with one thread.
fn told(run: impl Fn(Cancellation<'_>) -> Result<(), RuntimeError> + Sync) -> Vec<(usize, usize)> {
    let told = Mutex::new(Vec::new());
    let on_progress = |n_done, n_total| told.lock().unwrap().push((n_done, n_total));
    let one = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    one.install(|| run(Cancellation::NEVER.reporting(&on_progress))).unwrap();
    told.into_inner().unwrap()
}

#[test]
fn progress_counts_tokens_read_and_prompts_answered() {
    let model = toy::model(toy::decoder());
    let tokens = toy::tokens(3 * OPTIONS.n_ctx);
    let read = told(|caller| perplexity::perplexity(&model, &tokens, &OPTIONS, caller).map(|_| ()));
    assert_eq!(read, [(16, 48), (32, 48), (48, 48)]);
    for statistic in statistics::STATISTICS {
        let measure = |caller: Cancellation<'_>| {
            statistics::measure(statistic, &model, &tokens, &OPTIONS, caller).map(|_| ())
        };
        assert_eq!(told(measure), read, "{}", statistic.name);
    }
    let questions = [[3, 1], [4, 1]].map(|prompt| Question { prompt: prompt.to_vec(), max_tokens: 2 });
    let answered = told(|caller| accuracy::answers(&model, &questions, &[], caller).map(|_| ()));
    assert_eq!(answered, [(1, 2), (2, 2)]);
}
