//! The language of `mc query`.

pub(crate) mod attributes;
pub(crate) mod call;
pub mod error;
pub mod evaluate;
pub(crate) mod expression;
pub mod functions;
pub mod locations;
pub(crate) mod targets;
pub(crate) mod token;
