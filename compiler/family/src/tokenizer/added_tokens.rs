//! Tokens beside the model's own: which there are and what each is.
//!
//! A checkpoint lists them in up to three files: `added_tokens` in `tokenizer.json`, `added_tokens_decoder` in
//! `tokenizer_config.json`, and `added_tokens.json`. Transformers lets the configuration change the flags of a token
//! and add tokens that the tokenizer does not have.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::Value;

use crate::error::FamilyError;

/// A token that is cut out of the text before the model sees it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct AddedToken {
    /// Its id.
    #[serde(default)]
    pub id: u32,
    /// Its text.
    pub content: String,
    /// Whether it is a control token.
    #[serde(default)]
    pub special: bool,
    /// Whether the spaces before it are cut off with it.
    #[serde(default)]
    pub lstrip: bool,
    /// Whether the spaces after it are cut off with it.
    #[serde(default)]
    pub rstrip: bool,
    /// Whether it must stand alone.
    #[serde(default)]
    pub single_word: bool,
    /// Whether it is looked for in the normalized text.
    #[serde(default)]
    pub normalized: bool,
}

impl AddedToken {
    /// Whether it is a control token, by its flag or by its look.
    ///
    /// Trainers often forget the flag, and a control token that is shown as text is noticed by everyone.
    pub fn is_control(&self) -> bool {
        self.special || looks_special(&self.content)
    }
}

/// Whether a token that nobody calls special is one by its look.
///
/// Source: `does_token_look_special`, `convert_hf_to_gguf.py` of llama.cpp.
pub(crate) fn looks_special(text: &str) -> bool {
    let between = |start: &str, end: &str| text.starts_with(start) && text.ends_with(end);
    matches!(text, "<pad>" | "<mask>" | "<2mass>" | "[@BOS@]")
        || between("<|", "|>")
        || between("<｜", "｜>")
        || between("<unused", ">")
}

/// The tokens under `added_tokens_decoder` in `tokenizer_config.json`, by id.
///
/// # Errors
/// When a key is no id or a value is no token.
pub(crate) fn of_config(tokenizer_config: &Value) -> Result<Vec<AddedToken>, FamilyError> {
    let mut tokens = Vec::new();
    for (key, value) in tokenizer_config["added_tokens_decoder"].as_object().into_iter().flatten() {
        let wrong = |expected: &str| {
            FamilyError::Tokenizer(format!(
                "`added_tokens_decoder.{key}` in `tokenizer_config.json` is `{value}`; expected {expected}"
            ))
        };
        let mut token =
            AddedToken::deserialize(value).map_err(|_| wrong("a token with its text under `content`"))?;
        token.id = key.parse().map_err(|_| wrong("an id as the key"))?;
        tokens.push(token);
    }
    tokens.sort_by_key(|token| token.id);
    Ok(tokens)
}

/// The tokens of `added_tokens.json`, each text with its id, by id.
///
/// # Errors
/// When the file is no table of ids.
pub(crate) fn of_file(bytes: Option<&[u8]>) -> Result<Vec<(String, u32)>, FamilyError> {
    let Some(bytes) = bytes else { return Ok(Vec::new()) };
    let tokens: BTreeMap<String, u32> = serde_json::from_slice(bytes).map_err(|error| {
        FamilyError::Tokenizer(format!(
            "`added_tokens.json` cannot be read: {error}; expected texts, each with an id"
        ))
    })?;
    let mut tokens: Vec<(String, u32)> = tokens.into_iter().collect();
    tokens.sort_by_key(|(_, id)| *id);
    Ok(tokens)
}

/// The tokens of `tokenizer.json` with what the configuration says about them, by id.
///
/// A token that only the configuration has is added if its id is free, or is that of a piece with its text.
pub(crate) fn joined(
    listed: &[AddedToken],
    configured: &[AddedToken],
    vocab: &BTreeMap<String, u32>,
) -> Vec<AddedToken> {
    let mut tokens: BTreeMap<u32, AddedToken> =
        listed.iter().map(|token| (token.id, token.clone())).collect();
    let texts: BTreeSet<&str> = listed.iter().map(|token| token.content.as_str()).collect();
    let ids: BTreeSet<u32> = vocab.values().copied().collect();
    for token in configured {
        let is_free = match vocab.get(&token.content) {
            Some(id) => *id == token.id,
            None => !ids.contains(&token.id),
        };
        match tokens.get_mut(&token.id) {
            Some(known) if known.content == token.content => token.clone_into(known),
            None if is_free && !texts.contains(token.content.as_str()) => {
                tokens.insert(token.id, token.clone());
            }
            _ => {}
        }
    }
    tokens.into_values().collect()
}
