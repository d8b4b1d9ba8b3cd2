//! Tensor expressions: how one tensor of an artifact comes from the bytes of its inputs.
//!
//! Knows no action, rule, container or file.

pub mod adapter_expression;
pub mod blend;
pub mod expression;
pub mod parse_expression;
