//! The vocabulary in a file's keys: written in the order of llama.cpp's converter, and read back.

use mc_decoder::pre_tokenizer::PreTokenizer;
use mc_decoder::vocabulary::{SpecialKey, SpecialTokens, TokenType, Vocabulary, VocabularyKind};
use mc_exporter::format_error::FormatError;

use crate::key_reader::{get, number, shown, text, texts, wrong};
use crate::key_writer::{KeyWriter, Keys};
use crate::model_error::ModelError;
use crate::pre_tokenizers::{NO_NAME, name_of, named};
use crate::reader::Gguf;
use crate::value::Value;

/// Control tokens that end an answer, besides the one that the file names. llama.cpp has the same list.
const STOP_TOKENS: [&str; 6] =
    ["<|eot_id|>", "<|im_end|>", "<|end|>", "<end_of_turn>", "<|endoftext|>", "<|end_of_text|>"];

/// The key of each special token or flag, after `tokenizer.ggml.`.
const SPECIAL_KEYS: [(SpecialKey, &str); 10] = [
    (SpecialKey::Bos, "bos_token_id"),
    (SpecialKey::Eos, "eos_token_id"),
    (SpecialKey::Unknown, "unknown_token_id"),
    // The format's own spelling.
    (SpecialKey::Separator, "seperator_token_id"),
    (SpecialKey::Padding, "padding_token_id"),
    (SpecialKey::Mask, "mask_token_id"),
    (SpecialKey::EndOfTurn, "eot_token_id"),
    (SpecialKey::AddBos, "add_bos_token"),
    (SpecialKey::AddEos, "add_eos_token"),
    (SpecialKey::AddSep, "add_sep_token"),
];
const SPACE_PREFIX: &str = "tokenizer.ggml.add_space_prefix";
const TEMPLATE: &str = "tokenizer.chat_template";
const TEMPLATES: &str = "tokenizer.chat_templates";

/// The keys of the vocabulary of a model of `architecture`, in file order.
///
/// # Errors
/// If files have no name for its pre-tokenizer.
pub fn vocabulary_keys(vocabulary: &Vocabulary, architecture: &str) -> Result<Keys, FormatError> {
    let mut keys = KeyWriter::default();
    write_vocabulary(&mut keys, vocabulary, architecture)?;
    Ok(keys.0)
}

/// Adds the keys of the vocabulary of a model of `architecture`.
///
/// # Errors
/// As [`vocabulary_keys`].
pub(crate) fn write_vocabulary(
    keys: &mut KeyWriter,
    vocabulary: &Vocabulary,
    architecture: &str,
) -> Result<(), FormatError> {
    let is_pieces = vocabulary.kind == VocabularyKind::SentencePiece;
    // llama.cpp's converter writes this key first for Llama and last for Gemma.
    let is_last = is_pieces && architecture.starts_with("gemma");
    let space_prefix = vocabulary.space_prefix.map(Value::Bool);
    if let Some(space_prefix) = space_prefix.clone().filter(|_| !is_last) {
        keys.put(SPACE_PREFIX, space_prefix);
    }
    keys.text("tokenizer.ggml.model", if is_pieces { "llama" } else { "gpt2" });
    keys.text("tokenizer.ggml.pre", &name_of(&vocabulary.pre_tokenizer, architecture)?);
    keys.put("tokenizer.ggml.tokens", Value::texts(vocabulary.tokens.iter().cloned()));
    if is_pieces {
        keys.put("tokenizer.ggml.scores", Value::floats(vocabulary.scores.iter().copied()));
    }
    let types = vocabulary.types.iter().map(|kind| *kind as i32);
    keys.put("tokenizer.ggml.token_type", Value::integers(types));
    if !is_pieces {
        keys.put("tokenizer.ggml.merges", Value::texts(vocabulary.merges.iter().cloned()));
    }
    write_special(keys, &vocabulary.special);
    for (name, template) in &vocabulary.named_templates {
        keys.text(format!("{TEMPLATE}.{name}"), template);
    }
    if !vocabulary.named_templates.is_empty() {
        keys.put(TEMPLATES, Value::texts(vocabulary.named_templates.iter().map(|(name, _)| name.clone())));
    }
    keys.optional_text(TEMPLATE, vocabulary.chat_template.as_deref());
    if let Some(space_prefix) = space_prefix.filter(|_| is_last) {
        keys.put(SPACE_PREFIX, space_prefix);
    }
    Ok(())
}

fn write_special(keys: &mut KeyWriter, special: &SpecialTokens) {
    for key in special.keys() {
        let name = SPECIAL_KEYS.iter().find(|(known, _)| *known == key).map_or("", |(_, name)| name);
        if let Some(id) = special.id(key) {
            keys.u32(format!("tokenizer.ggml.{name}"), id);
        }
        if let Some(switch) = special.switch(key) {
            keys.put(format!("tokenizer.ggml.{name}"), Value::Bool(switch));
        }
    }
}

/// Reads the vocabulary in the keys.
///
/// # Errors
/// [`ModelError`] if a key is missing or wrong, or the kind of tokenizer is unknown.
pub fn vocabulary(gguf: &Gguf) -> Result<Vocabulary, ModelError> {
    let key = |name: &str| format!("tokenizer.ggml.{name}");
    let kind = match text(gguf, &key("model"))? {
        "gpt2" => VocabularyKind::BytePair,
        "llama" => VocabularyKind::SentencePiece,
        other => {
            let expected =
                "`gpt2`, byte-level byte-pair encoding, or `llama`, SentencePiece's byte-pair encoding";
            return Err(wrong(key("model"), expected, format!("`{other}`")));
        }
    };
    let tokens = texts(gguf, &key("tokens"))?;
    let types = types(gguf, &key("token_type"), tokens.len())?;
    let (scores, merges) = match kind {
        VocabularyKind::BytePair => (Vec::new(), texts(gguf, &key("merges"))?),
        VocabularyKind::SentencePiece => (scores(gguf, &key("scores"), tokens.len())?, Vec::new()),
    };
    // Old files of this kind name no pre-tokenizer, because only one exists.
    let name = match kind {
        VocabularyKind::SentencePiece if gguf.key(&key("pre")).is_none() => NO_NAME,
        _ => text(gguf, &key("pre"))?,
    };
    let pre_tokenizer = match kind {
        VocabularyKind::BytePair => named(name),
        VocabularyKind::SentencePiece => PreTokenizer { name: Some(name.to_owned()), ..PreTokenizer::NONE },
    };
    Ok(Vocabulary {
        kind,
        pre_tokenizer,
        special: special(gguf, &tokens, &types)?,
        tokens,
        scores,
        types,
        merges,
        space_prefix: gguf.key(SPACE_PREFIX).and_then(Value::as_bool),
        chat_template: gguf.key(TEMPLATE).and_then(Value::as_text).map(str::to_owned),
        named_templates: named_templates(gguf)?,
    })
}

fn special(gguf: &Gguf, tokens: &[String], types: &[TokenType]) -> Result<SpecialTokens, ModelError> {
    let mut special = SpecialTokens::default();
    for key in &gguf.keys {
        let (name, value) = &**key;
        let Some(name) = name.strip_prefix("tokenizer.ggml.") else { continue };
        let Some((key, _)) = SPECIAL_KEYS.iter().find(|(_, known)| *known == name) else { continue };
        let id = |gguf: &Gguf| {
            let name = format!("tokenizer.ggml.{name}");
            let id = number(gguf, &name)?;
            if (id as usize) < tokens.len() {
                Ok(Some(id))
            } else {
                Err(wrong(name, "the number of a token", id.to_string()))
            }
        };
        match key {
            SpecialKey::Bos => special.bos = id(gguf)?,
            SpecialKey::Eos => special.eos = id(gguf)?,
            SpecialKey::Unknown => special.unknown = id(gguf)?,
            SpecialKey::Separator => special.separator = id(gguf)?,
            SpecialKey::Padding => special.pad = id(gguf)?,
            SpecialKey::Mask => special.mask = id(gguf)?,
            SpecialKey::EndOfTurn => special.end_of_turn = id(gguf)?,
            SpecialKey::AddBos => special.add_bos = value.as_bool(),
            SpecialKey::AddEos => special.add_eos = value.as_bool(),
            SpecialKey::AddSep => special.add_sep = value.as_bool(),
        }
        special.order.push(*key);
    }
    let is_stop =
        |index: usize| types[index] == TokenType::Control && STOP_TOKENS.contains(&tokens[index].as_str());
    special.stop = (0..tokens.len()).filter(|&index| is_stop(index)).map(|index| index as u32).collect();
    for end in [special.eos, special.end_of_turn].into_iter().flatten() {
        if !special.stop.contains(&end) {
            special.stop.push(end);
        }
    }
    Ok(special)
}

fn named_templates(gguf: &Gguf) -> Result<Vec<(String, String)>, ModelError> {
    if gguf.key(TEMPLATES).is_none() {
        return Ok(Vec::new());
    }
    let mut names = texts(gguf, TEMPLATES)?;
    names.sort();
    let template = |name: String| {
        let template = text(gguf, &format!("{TEMPLATE}.{name}"))?.to_owned();
        Ok((name, template))
    };
    names.into_iter().map(template).collect()
}

fn scores(gguf: &Gguf, key: &str, n_tokens: usize) -> Result<Vec<f32>, ModelError> {
    const EXPECTED: &str = "a finite number for each token";
    let value = get(gguf, key, EXPECTED)?;
    let array = value.as_array().ok_or_else(|| wrong(key, EXPECTED, shown(value)))?;
    if array.len() != n_tokens {
        return Err(wrong(key, EXPECTED, format!("{} scores for {n_tokens} tokens", array.len())));
    }
    let score = |item: Value| {
        item.as_f32().filter(|score| score.is_finite()).ok_or_else(|| wrong(key, EXPECTED, shown(&item)))
    };
    array.items().map(score).collect()
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
