//! The safetensors container: eight bytes with the length of the header, a JSON header, then the tensors.
//!
//! Works on slices and returns bytes; opens no file and maps nothing.

pub mod header;
pub mod index;
pub mod write;
