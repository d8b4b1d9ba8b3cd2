//! Measurements of a model, and the rule `gate` that judges them.

pub(crate) mod accuracy;
pub mod gate;
pub(crate) mod leak;
pub(crate) mod measurement;
pub(crate) mod perplexity;
pub(crate) mod tokenizer_fidelity;
pub mod verdict;
