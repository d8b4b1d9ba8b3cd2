//! A model, opened to be run.

pub(crate) mod abandon;
pub(crate) mod subject;
pub(crate) mod unquantized;
