//! The language of `mc query`.

pub mod error;
pub mod evaluate;
pub(crate) mod expression;
pub(crate) mod token;
