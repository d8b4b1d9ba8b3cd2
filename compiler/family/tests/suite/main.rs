//! What the family promises: names, configurations, adapters, tokenizers and chat templates.

mod adapter;
mod llama;
