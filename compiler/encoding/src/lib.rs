//! Block quantization codecs and the recipes that mix them.
//!
//! One file per codec, one per recipe, a table for each. The scalar code here defines the bytes: they are equal to
//! those of ggml's reference encoders (ARCHITECTURE.md, section "Numbers").
//!
//! Knows no file, no container and no model family.

pub mod blocks;
pub mod codebook;
pub mod codec;
pub mod codecs;
pub mod health;
pub mod lanes;
pub mod layouts;
pub mod loss;
pub mod recipes;
pub(crate) mod rounding;
pub(crate) mod rows;
pub mod search;
