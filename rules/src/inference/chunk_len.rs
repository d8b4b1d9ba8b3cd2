//! Length of the chunks in which a model reads a text that is longer than its context.

use mc_runtime::chunks::DEFAULT_N_CTX;

/// How many tokens a chunk has: as asked for, else 512, and never more than the model attends over.
pub(crate) fn chunk_len(context: Option<usize>, max: usize) -> Result<usize, String> {
    match context {
        Some(context) if !(4..=max).contains(&context) => {
            Err(format!("A context of {context} tokens is out of range; this model attends over 4 to {max}"))
        }
        Some(context) => Ok(context),
        None => Ok(DEFAULT_N_CTX.min(max)),
    }
}
