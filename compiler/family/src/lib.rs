//! Model families: checkpoint names, configuration and tokenizer to `ModelTensor` and `Decoder`.
//!
//! Knows what Hugging Face and PEFT write; knows nothing about containers, codecs or rules.

pub mod adapter;
pub mod adapter_base;
pub mod adapter_change;
pub mod adapter_factors;
pub mod adapter_mismatch;
pub mod adapter_name;
pub mod adapter_refusal;
pub mod byte_level;
pub mod chat;
pub mod config;
pub mod error;
pub mod families;
pub mod family;
pub mod llama;
pub mod merges;
pub mod pre_tokenizer;
pub mod special_tokens;
pub mod tokenizer;
pub mod tokenizer_json;
pub mod vocabulary;
