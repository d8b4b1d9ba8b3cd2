//! The GGUF container, version 3: keys, a list of tensors, and their bytes.
//!
//! Works on slices and returns bytes; opens no file and maps nothing. Tensors are known by purpose, never by family.

pub(crate) mod architecture;
pub(crate) mod decoder_keys;
pub mod imatrix;
mod key_reader;
pub mod key_writer;
pub mod keys;
pub mod layout;
pub mod model;
pub mod model_error;
pub mod model_facts;
pub mod names;
pub mod reader;
pub mod split;
pub mod tensor_type;
pub mod value;
pub mod vocabulary_keys;
