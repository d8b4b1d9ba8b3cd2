//! A text cut into chunks of one context each, as llama.cpp cuts it for perplexity and imatrix.
//!
//! Chunks follow each other without overlap; a rest shorter than a chunk is left out. Each chunk is a sequence of
//! its own. Where the model begins texts with a token (BOS), the first token of every chunk is replaced by it.
//!
//! Source: `perplexity` in tools/perplexity/perplexity.cpp and `compute_imatrix` in tools/imatrix/imatrix.cpp of
//! llama.cpp.

use rayon::iter::{IntoParallelRefIterator, ParallelIterator};

use crate::cancellation::Cancellation;
use crate::error::RuntimeError;
use crate::model::Model;

/// The context of a chunk unless told otherwise.
pub const DEFAULT_N_CTX: usize = 512;

/// The smallest context in which a position is scored.
const MIN_N_CTX: usize = 4;

/// How a text is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkOptions {
    /// Tokens of a chunk.
    pub n_ctx: usize,
    /// What replaces the first token of every chunk: the model's BOS, where it adds one to a text.
    pub bos: Option<u32>,
    /// Chunks to use at most; `None` for all.
    pub max_chunks: Option<usize>,
}

impl ChunkOptions {
    /// Chunks of [`DEFAULT_N_CTX`], or of the model's context where that is shorter.
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

/// What `run` gives for every chunk, in order.
///
/// As many chunks as there are threads run at once: more would only take memory. The caller hears of tokens.
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

/// Tells the caller that so many chunks, which all have the same length, are done.
pub(crate) fn report(caller: Cancellation<'_>, chunks: &[Vec<u32>], n_done: usize) {
    let n_tokens = chunks.first().map_or(0, Vec::len);
    caller.report(n_done * n_tokens, chunks.len() * n_tokens);
}
