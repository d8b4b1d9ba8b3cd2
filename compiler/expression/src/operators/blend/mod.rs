//! Blends: combine the same weight of several models.
//!
//! Fractions are resolved by the caller: a density becomes a number of elements, or a bound for random numbers, so that
//! equal actions have equal text.

pub mod deltas;
pub mod linear;
pub mod slerp;
pub mod term;

pub(crate) mod difference;
