//! Model families: map checkpoint names, configuration and tokenizer to `ModelTensor` and `Decoder`.
//!
//! Knows the files of Hugging Face and PEFT, but no containers, codecs or rules.

pub mod adapter;
pub mod chat;
pub mod config;
pub mod error;
pub mod families;
pub mod family;
pub mod names;
pub mod tokenizer;
pub mod tokenizer_files;
