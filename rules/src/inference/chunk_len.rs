//! Length of the chunks in which a model reads a text that exceeds its context.

use mc_runtime::chunks::DEFAULT_N_CTX;

/// Returns the number of tokens per chunk: `context`, by default 512, and at most the model's context.
pub(crate) fn chunk_len(context: Option<usize>, max: usize) -> Result<usize, String> {
    match context {
        Some(context) if !(4..=max).contains(&context) => {
            Err(format!("A context of {context} tokens is out of range; this model supports 4 to {max}"))
        }
        Some(context) => Ok(context),
        None => Ok(DEFAULT_N_CTX.min(max)),
    }
}
