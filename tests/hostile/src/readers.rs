//! The formats, each with a function that gives bytes to everything of ours that reads it.

use mc_family::adapter::AdapterConfig;
use mc_family::families::{for_config, for_decoder};
use mc_family::tokenizer::Tokenizer;
use mc_family::tokenizer::vocabulary::vocabulary;
use mc_family::tokenizer_files::TokenizerFiles;
use mc_gguf::reader::Gguf;
use mc_gguf::{imatrix, model, split, vocabulary_keys};
use mc_safetensors::header::Header;
use mc_safetensors::index::shards;

/// A format and what reads it.
#[derive(Debug)]
pub struct Reader {
    /// The name of its corpus folder and of its fuzz target.
    pub name: &'static str,
    /// What may be allocated at once however short the input is, in bytes.
    pub floor: usize,
    /// Gives the bytes to everything of ours that reads the format.
    pub read: fn(&[u8]),
}

/// For heads of files of many gigabytes: tables of the readers' own, and no more.
const HEAD_FLOOR: usize = 64 << 10;
/// For small text files, which become trees of values: a list of numbers is many times larger in memory than as text.
const TEXT_FLOOR: usize = 1 << 20;

/// `safetensors`.
pub static SAFETENSORS: Reader = Reader { name: "safetensors", floor: HEAD_FLOOR, read: safetensors };
/// `gguf`.
pub static GGUF: Reader = Reader { name: "gguf", floor: HEAD_FLOOR, read: gguf };
/// `tokenizer_json`.
pub static TOKENIZER_JSON: Reader =
    Reader { name: "tokenizer_json", floor: TEXT_FLOOR, read: tokenizer_json };
/// `tokenizer_model`.
pub static TOKENIZER_MODEL: Reader =
    Reader { name: "tokenizer_model", floor: TEXT_FLOOR, read: tokenizer_model };
/// `adapter_config`.
pub static ADAPTER_CONFIG: Reader =
    Reader { name: "adapter_config", floor: TEXT_FLOOR, read: adapter_config };
/// `config`.
pub static CONFIG: Reader = Reader { name: "config", floor: TEXT_FLOOR, read: config };

/// `chat_template`. It runs on a thread of its own; `tests/chat_templates.rs` counts what it takes there.
pub static CHAT_TEMPLATE: Reader = Reader { name: "chat_template", floor: TEXT_FLOOR, read: chat_template };

/// Every format.
pub static READERS: &[&Reader] =
    &[&SAFETENSORS, &GGUF, &TOKENIZER_JSON, &TOKENIZER_MODEL, &ADAPTER_CONFIG, &CONFIG, &CHAT_TEMPLATE];

/// Rows of the embedding of a checkpoint whose tokenizer is read.
const N_VOCAB: u32 = 1024;

/// A checkpoint without a tokenizer, whose configuration asks for nothing.
const NO_FILES: TokenizerFiles<'_> = TokenizerFiles {
    config: b"{}",
    tokenizer: None,
    tokenizer_model: None,
    tokenizer_config: None,
    added_tokens: None,
    special_tokens_map: None,
    generation_config: None,
    chat_template: None,
    chat_template_json: None,
    additional_chat_templates: &[],
};

/// A safetensors file, and the index of a sharded one.
fn safetensors(bytes: &[u8]) {
    drop(Header::parse(bytes, bytes.len() as u64));
    drop(shards(bytes));
}

/// A GGUF file: its head, and the model with its tensors, the vocabulary or the imatrix in it.
fn gguf(bytes: &[u8]) {
    let Ok(gguf) = Gguf::parse(bytes, bytes.len() as u64) else { return };
    if let Ok(decoder) = model::decoder(&gguf)
        && let Some(family) = for_decoder(&decoder)
    {
        family.tensors(&decoder).for_each(drop);
    }
    drop(vocabulary_keys::vocabulary(&gguf));
    drop(split::merge(std::slice::from_ref(&gguf)));
    drop(imatrix::ImatrixFile::parse(bytes));
}

/// `tokenizer.json`, and the vocabulary that it gives with a configuration that asks for nothing.
fn tokenizer_json(bytes: &[u8]) {
    if vocabulary(&TokenizerFiles { tokenizer: Some(bytes), ..NO_FILES }, N_VOCAB, "llama").is_ok() {
        drop(Tokenizer::from_json(bytes));
    }
}

/// `tokenizer.model`, and the vocabulary that it gives.
fn tokenizer_model(bytes: &[u8]) {
    let files = TokenizerFiles { tokenizer_model: Some(bytes), ..NO_FILES };
    if let Ok(vocabulary) = vocabulary(&files, N_VOCAB, "llama") {
        drop(Tokenizer::from_vocabulary(&vocabulary));
    }
}

/// `adapter_config.json`.
fn adapter_config(bytes: &[u8]) {
    drop(AdapterConfig::from_json(&String::from_utf8_lossy(bytes)));
}

/// `config.json`: the family, its program and the tensors that it asks for.
fn config(bytes: &[u8]) {
    let Ok(config) = mc_family::config::parse("config.json", bytes) else { return };
    let Ok(family) = for_config(&config) else { return };
    if let Ok(decoder) = family.decoder(&config) {
        family.tensors(&decoder).for_each(drop);
    }
}

/// A chat template, and the text that it gives.
fn chat_template(bytes: &[u8]) {
    drop(crate::templates::render(&String::from_utf8_lossy(bytes)));
}
