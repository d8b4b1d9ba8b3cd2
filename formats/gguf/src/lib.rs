//! The GGUF container, version 3: keys, a list of tensors, and their bytes.
//!
//! Works on slices and returns bytes; opens no file and maps nothing. Tensors are identified by purpose, never by
//! family.

mod accepts;
pub mod architecture;
pub mod container;
pub(crate) mod decoder_keys;
pub mod exporter;
pub mod file_name;
pub mod identity_keys;
pub mod imatrix;
mod key_reader;
pub mod key_writer;
pub mod keys;
pub mod layout;
pub(crate) mod listing;
pub mod model;
pub mod model_error;
pub mod model_facts;
pub mod names;
pub(crate) mod origin_keys;
pub mod pre_tokenizers;
pub mod reader;
pub mod recipes;
pub mod rope_tensors;
pub mod split;
pub mod tensor_type;
pub mod value;
pub mod vocabulary_keys;
pub(crate) mod written_keys;
