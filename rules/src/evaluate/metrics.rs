//! The metrics that gates know.

pub(crate) mod accuracy;
pub(crate) mod perplexity;
pub(crate) mod tokenizer_fidelity;
