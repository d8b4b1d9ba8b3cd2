//! The safetensors container: eight bytes with the header's length, a JSON header, then the tensors.

pub mod header;
pub mod index;
pub mod write;
