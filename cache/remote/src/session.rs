//! What all that is done with a server shares.

pub mod breaker;
pub(crate) mod in_flight;
pub(crate) mod naming;
pub(crate) mod parallel;
