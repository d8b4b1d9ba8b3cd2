//! The model as a program: what a decoder computes, told once for the runtime and the exporters.
//!
//! A family writes a [`program::Decoder`] from a checkpoint's configuration; the runtime runs it and each format
//! emits it. This crate computes nothing and reads nothing: it is only the description.

pub mod pre_tokenizer;
pub mod program;
pub mod rotary_factors;
pub mod vocabulary;
