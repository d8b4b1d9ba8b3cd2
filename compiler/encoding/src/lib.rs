//! Block quantization codecs.
//!
//! One file per codec, and a table of them. The scalar code here defines the bytes: they are equal to
//! those of ggml's reference encoders (ARCHITECTURE.md, section "Numbers").
//!
//! Knows no file, no container and no model family.

pub mod blocks;
pub mod codec;
pub mod codecs;
pub mod grid;
pub mod health;
pub mod lanes;
pub mod layouts;
pub mod loss;
pub(crate) mod rounding;
pub(crate) mod rows;
pub mod search;
