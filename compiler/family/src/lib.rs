//! Model families: checkpoint names, configuration and tokenizer to `ModelTensor` and `Decoder`.
//!
//! Knows what Hugging Face and PEFT write; knows nothing about containers, codecs or rules.

pub mod adapter;
pub mod chat;
pub mod config;
pub mod error;
pub mod families;
pub mod family;
pub mod names;
pub mod tokenizer;
pub mod tokenizer_files;
