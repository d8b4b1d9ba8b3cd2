//! Containers: safetensors and GGUF, parsed from bytes and laid out for writing.
//!
//! Works on slices and returns bytes; opens no files and maps nothing. Knows tensors by purpose, never by family.

pub mod gguf;
pub mod safetensors;
