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
pub(crate) mod experts;
pub mod families;
pub mod family;
pub mod gemma2;
pub mod gemma3;
pub mod granite;
pub(crate) mod layer_types;
pub mod lfm2;
pub mod llama;
pub mod merges;
pub mod mistral;
pub mod mixtral;
pub mod names;
pub mod needed;
pub mod olmo2;
pub(crate) mod outline;
pub mod phi3;
pub mod pre_tokenizer;
pub mod quantization;
pub mod qwen2;
pub mod qwen3;
pub mod qwen3_moe;
pub(crate) mod rope_tensors;
pub(crate) mod rotary;
pub mod smollm3;
pub mod special_tokens;
pub mod tokenizer;
pub mod tokenizer_json;
pub mod vocabulary;
