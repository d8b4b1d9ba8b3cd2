//! A text split into chunks of one context each, as in llama.cpp's perplexity and imatrix tools.
//!
//! Chunks do not overlap; a remainder shorter than a chunk is dropped. Each chunk is a separate sequence. If the model
//! starts texts with a token (BOS), it replaces the first token of every chunk.
//!
//! Source: `perplexity` in tools/perplexity/perplexity.cpp and `compute_imatrix` in tools/imatrix/imatrix.cpp of
//! llama.cpp.

use rayon::iter::{IntoParallelRefIterator, ParallelIterator};

use crate::cancellation::Cancellation;
use crate::error::RuntimeError;
use crate::model::Model;

/// The default context of a chunk, in tokens.
pub const DEFAULT_N_CTX: usize = 512;

/// The smallest context with a scored position.
const MIN_N_CTX: usize = 4;

/// Options for splitting a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkOptions {
    /// Number of tokens per chunk.
    pub n_ctx: usize,
    /// Token that replaces the first token of every chunk: the model's BOS, if the model adds one to a text.
    pub bos: Option<u32>,
    /// Maximum number of chunks; `None` for all.
    pub max_chunks: Option<usize>,
}

impl ChunkOptions {
    /// Chunks of [`DEFAULT_N_CTX`] tokens, or of the model's context if that is shorter.
    pub fn for_model(model: &Model, bos: Option<u32>) -> Self {
        let n_ctx = DEFAULT_N_CTX.min(model.context_length());
        Self { n_ctx, bos, max_chunks: None }
    }
}

/// The chunks of a text.
///
/// # Errors
/// [`RuntimeError::ContextOutOfRange`], or [`RuntimeError::TextTooShort`] if the text fills no chunk.
pub(crate) fn chunks(
    model: &Model,
    tokens: &[u32],
    options: &ChunkOptions,
) -> Result<Vec<Vec<u32>>, RuntimeError> {
    let (n_ctx, max) = (options.n_ctx, model.context_length());
    if !(MIN_N_CTX..=max).contains(&n_ctx) {
        return Err(RuntimeError::ContextOutOfRange { n_ctx, min: MIN_N_CTX, max });
    }
    if tokens.len() < n_ctx {
        return Err(RuntimeError::TextTooShort { n_tokens: tokens.len(), n_ctx });
    }
    let begin = |chunk: &[u32]| {
        let mut chunk = chunk.to_vec();
        if let Some(bos) = options.bos {
            chunk[0] = bos;
        }
        chunk
    };
    let max_chunks = options.max_chunks.unwrap_or(usize::MAX);
    Ok(tokens.chunks_exact(n_ctx).take(max_chunks).map(begin).collect())
}

/// The results of `run` for every chunk, in order.
///
/// Runs at most as many chunks at once as there are threads: more would only use memory. Reports tokens as progress.
pub(crate) fn run_all<T: Send>(
    caller: Cancellation<'_>,
    chunks: &[Vec<u32>],
    run: impl Fn(&[u32]) -> Result<T, RuntimeError> + Sync,
    mut take: impl FnMut(T),
) -> Result<(), RuntimeError> {
    let mut n_done = 0;
    for group in chunks.chunks(rayon::current_num_threads()) {
        let results: Vec<Result<T, RuntimeError>> = group.par_iter().map(|chunk| run(chunk)).collect();
        for result in results {
            take(result?);
        }
        n_done += group.len();
        report(caller, chunks, n_done);
    }
    Ok(())
}

/// Reports this many chunks, which all have the same length, as completed.
pub(crate) fn report(caller: Cancellation<'_>, chunks: &[Vec<u32>], n_done: usize) {
    let n_tokens = chunks.first().map_or(0, Vec::len);
    caller.report(n_done * n_tokens, chunks.len() * n_tokens);
}
