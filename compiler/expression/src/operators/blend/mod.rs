//! Blends: the same weight of several models made into one.
//!
//! Shares are resolved before they come here: a density is a count of elements, or a bound for random numbers, so that
//! equal actions have equal text.

pub mod deltas;
pub mod linear;
pub mod slerp;
pub mod term;

pub(crate) mod difference;
