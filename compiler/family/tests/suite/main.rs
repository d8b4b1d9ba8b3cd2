//! What the family promises: names, configurations, adapters, tokenizers and chat templates.

mod llama;
