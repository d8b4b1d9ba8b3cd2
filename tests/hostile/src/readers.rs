//! The formats, each with a function that passes bytes to all of our readers of it.

use std::borrow::Cow;
use std::ops::Range;

use mc_exporter::exporter::Exporter;
use mc_exporter::format_error::FormatError;
use mc_exporter::planes_in_files::FileBytes;
use mc_family::adapter::AdapterConfig;
use mc_family::families::{for_config, for_decoder};
use mc_family::tokenizer::Tokenizer;
use mc_family::tokenizer::vocabulary::vocabulary;
use mc_family::tokenizer_files::TokenizerFiles;
use mc_gguf::reader::Gguf;
use mc_gguf::{imatrix, model, split, vocabulary_keys};
use mc_onnx::exporter::OnnxExporter;
use mc_safetensors::header::Header;
use mc_safetensors::index::shards;

/// A format and its readers.
#[derive(Debug)]
pub struct Reader {
    /// The name of its corpus folder and of its fuzz target.
    pub name: &'static str,
    /// Allowed size of a single allocation, in bytes, for inputs of any length.
    pub floor: usize,
    /// Passes the bytes to all of our readers of the format.
    pub read: fn(&[u8]),
}

/// For heads of files of many gigabytes: only the readers' own tables.
const HEAD_FLOOR: usize = 64 << 10;
/// For small text files, which become trees of values: a list of numbers is many times larger in memory than as text.
const TEXT_FLOOR: usize = 1 << 20;

/// `safetensors`.
pub static SAFETENSORS: Reader = Reader { name: "safetensors", floor: HEAD_FLOOR, read: safetensors };
/// `gguf`.
pub static GGUF: Reader = Reader { name: "gguf", floor: HEAD_FLOOR, read: gguf };
/// `onnx`.
pub static ONNX: Reader = Reader { name: "onnx", floor: TEXT_FLOOR, read: onnx };
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

/// `chat_template`. It runs on a thread of its own; `tests/chat_templates.rs` measures its memory there.
pub static CHAT_TEMPLATE: Reader = Reader { name: "chat_template", floor: TEXT_FLOOR, read: chat_template };

/// Every format.
pub static READERS: &[&Reader] = &[
    &SAFETENSORS,
    &GGUF,
    &ONNX,
    &TOKENIZER_JSON,
    &TOKENIZER_MODEL,
    &ADAPTER_CONFIG,
    &CONFIG,
    &CHAT_TEMPLATE,
];

/// Vocabulary size of the checkpoint whose tokenizer is read.
const N_VOCAB: u32 = 1024;

/// A checkpoint without a tokenizer and with an empty configuration.
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

/// A graph whose tensors are in the file beside it; that file has the same bytes here.
fn onnx(bytes: &[u8]) {
    let files = ["model.onnx", "model.onnx.data"].map(|name| OnnxFile { name, bytes });
    drop(OnnxExporter.find_planes(&[&files[0], &files[1]]));
}

struct OnnxFile<'a> {
    name: &'static str,
    bytes: &'a [u8],
}

impl FileBytes for OnnxFile<'_> {
    fn name(&self) -> &str {
        self.name
    }

    fn n_bytes(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn read(&self, range: Range<u64>) -> Result<Cow<'_, [u8]>, FormatError> {
        let range =
            usize::try_from(range.start).unwrap_or(usize::MAX)..usize::try_from(range.end).unwrap_or(0);
        self.bytes.get(range).map(Cow::Borrowed).ok_or_else(|| FormatError::new("The file is shorter"))
    }
}

/// `tokenizer.json`, and its vocabulary with an empty configuration.
fn tokenizer_json(bytes: &[u8]) {
    if vocabulary(&TokenizerFiles { tokenizer: Some(bytes), ..NO_FILES }, N_VOCAB, "llama").is_ok() {
        drop(Tokenizer::from_json(bytes));
    }
}

/// `tokenizer.model`, and its vocabulary.
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

/// `config.json`: the family, its program and its tensors.
fn config(bytes: &[u8]) {
    let Ok(config) = mc_family::config::parse("config.json", bytes) else { return };
    let Ok(family) = for_config(&config) else { return };
    if let Ok(decoder) = family.decoder(&config) {
        family.tensors(&decoder).for_each(drop);
    }
}

/// A chat template, and the rendered text.
fn chat_template(bytes: &[u8]) {
    drop(crate::templates::render(&String::from_utf8_lossy(bytes)));
}
