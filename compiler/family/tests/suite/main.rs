//! Tests of names, configurations, adapters, tokenizers and chat templates.

mod adapter;
mod chat;
mod chat_hostile;
mod chat_reference;
mod config_ranges;
mod configs;
mod families;
mod llama;
mod ollama;
mod pieces;
mod tokenizer;
mod vocabulary;
mod windows;
