//! Weights derived from other weights.
//!
//! | file | rule |
//! |---|---|
//! | `merge` | `merge` |
//! | `blend` | `blend` |
//!
//! The other files are their parts. Nothing is computed here: a weight becomes an expression.

#[cfg(test)]
mod adapter_exactness;
#[cfg(test)]
mod adapter_reference;
pub(crate) mod adapter_weights;
pub mod blend;
pub(crate) mod blend_meaning;
pub(crate) mod blend_method;
pub(crate) mod blend_parts;
pub(crate) mod blend_settings;
pub(crate) mod blend_weights;
pub mod merge;
pub(crate) mod requantize;
