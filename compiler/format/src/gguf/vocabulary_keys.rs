//! The vocabulary in a file's keys: written in the order of llama.cpp's converter, and read back.

use mc_decoder::vocabulary::{SpecialTokens, TokenType, Vocabulary, VocabularyKind};

use crate::gguf::key_reader::{get, number, shown, text, texts, wrong};
use crate::gguf::key_writer::KeyWriter;
use crate::gguf::model::ModelError;
use crate::gguf::reader::Gguf;
use crate::gguf::value::Value;

/// Control tokens that end an answer besides the one that the file names; what llama.cpp takes for such, too.
const STOP_TOKENS: [&str; 6] =
    ["<|eot_id|>", "<|im_end|>", "<|end|>", "<end_of_turn>", "<|endoftext|>", "<|end_of_text|>"];

/// Adds the keys of a vocabulary.
pub(crate) fn write_vocabulary(keys: &mut KeyWriter, vocabulary: &Vocabulary) {
    let VocabularyKind::BytePair = vocabulary.kind;
    keys.text("tokenizer.ggml.model", "gpt2");
    keys.text("tokenizer.ggml.pre", &vocabulary.pre_tokenizer);
    keys.put("tokenizer.ggml.tokens", Value::texts(vocabulary.tokens.iter().cloned()));
    let types = vocabulary.types.iter().map(|kind| *kind as i32);
    keys.put("tokenizer.ggml.token_type", Value::integers(types));
    keys.put("tokenizer.ggml.merges", Value::texts(vocabulary.merges.iter().cloned()));
    let special = &vocabulary.special;
    let ids = [
        ("bos_token_id", special.bos),
        ("eos_token_id", special.eos),
        ("unknown_token_id", special.unknown),
        ("padding_token_id", special.pad),
    ];
    for (name, id) in ids {
        if let Some(id) = id {
            keys.u32(format!("tokenizer.ggml.{name}"), id);
        }
    }
    let flags = [
        ("add_bos_token", special.add_bos),
        ("add_eos_token", special.add_eos),
        ("add_sep_token", special.add_sep),
    ];
    for (name, flag) in flags {
        if let Some(flag) = flag {
            keys.put(format!("tokenizer.ggml.{name}"), Value::Bool(flag));
        }
    }
    keys.optional_text("tokenizer.chat_template", vocabulary.chat_template.as_deref());
}

/// The vocabulary in the keys.
///
/// # Errors
/// [`ModelError`] when a key is missing or wrong, or the kind of tokenizer is unknown.
pub fn vocabulary(gguf: &Gguf) -> Result<Vocabulary, ModelError> {
    let key = |name: &str| format!("tokenizer.ggml.{name}");
    let model = text(gguf, &key("model"))?;
    if model != "gpt2" {
        return Err(wrong(key("model"), "`gpt2`, byte-level byte-pair encoding", format!("`{model}`")));
    }
    let tokens = texts(gguf, &key("tokens"))?;
    let id = |name: &str| -> Result<Option<u32>, ModelError> {
        let name = key(name);
        if gguf.key(&name).is_none() {
            return Ok(None);
        }
        let id = number(gguf, &name)?;
        if (id as usize) < tokens.len() {
            Ok(Some(id))
        } else {
            Err(wrong(name, "the number of a token", id.to_string()))
        }
    };
    let flag = |name: &str| gguf.key(&key(name)).and_then(Value::as_bool);
    let types = types(gguf, &key("token_type"), tokens.len())?;
    let (bos, eos) = (id("bos_token_id")?, id("eos_token_id")?);
    let is_stop =
        |index: usize| types[index] == TokenType::Control && STOP_TOKENS.contains(&tokens[index].as_str());
    let mut stop: Vec<u32> =
        (0..tokens.len()).filter(|&index| is_stop(index)).map(|index| index as u32).collect();
    stop.extend(eos.filter(|eos| !stop.contains(eos)));
    let special = SpecialTokens {
        bos,
        eos,
        stop,
        pad: id("padding_token_id")?,
        unknown: id("unknown_token_id")?,
        add_bos: flag("add_bos_token"),
        add_eos: flag("add_eos_token"),
        add_sep: flag("add_sep_token"),
    };
    Ok(Vocabulary {
        kind: VocabularyKind::BytePair,
        pre_tokenizer: text(gguf, &key("pre"))?.to_owned(),
        types,
        merges: texts(gguf, &key("merges"))?,
        special,
        chat_template: gguf.key("tokenizer.chat_template").and_then(Value::as_text).map(str::to_owned),
        tokens,
    })
}

fn types(gguf: &Gguf, key: &str, n_tokens: usize) -> Result<Vec<TokenType>, ModelError> {
    const EXPECTED: &str = "a type from 1 to 6 for each token";
    let value = get(gguf, key, EXPECTED)?;
    let array = value.as_array().ok_or_else(|| wrong(key, EXPECTED, shown(value)))?;
    if array.len() != n_tokens {
        return Err(wrong(key, EXPECTED, format!("{} types for {n_tokens} tokens", array.len())));
    }
    let kind = |item: Value| match item.as_u64() {
        Some(1) => Ok(TokenType::Normal),
        Some(2) => Ok(TokenType::Unknown),
        Some(3) => Ok(TokenType::Control),
        Some(4) => Ok(TokenType::UserDefined),
        Some(5) => Ok(TokenType::Unused),
        Some(6) => Ok(TokenType::Byte),
        _ => Err(wrong(key, EXPECTED, shown(&item))),
    };
    array.items().map(kind).collect()
}
