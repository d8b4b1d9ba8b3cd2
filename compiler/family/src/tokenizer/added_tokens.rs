//! Tokens besides the model's own, and their kinds.
//!
//! A checkpoint lists them in up to three files: `added_tokens` in `tokenizer.json`, `added_tokens_decoder`
//! in `tokenizer_config.json`, and `added_tokens.json`. Transformers lets the configuration change the flags
//! of a token and add tokens that the tokenizer does not have.

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
    /// True if it is a control token.
    #[serde(default)]
    pub special: bool,
    /// True if it also takes the spaces before it.
    #[serde(default)]
    pub lstrip: bool,
    /// True if it also takes the spaces after it.
    #[serde(default)]
    pub rstrip: bool,
    /// True if it must stand alone.
    #[serde(default)]
    pub single_word: bool,
    /// True if it is searched in the normalized text.
    #[serde(default)]
    pub normalized: bool,
}

impl AddedToken {
    /// Returns true if it is a control token, by its flag or by its form.
    ///
    /// Trainers often forget the flag, and a control token shown as text is a visible defect.
    pub fn is_control(&self) -> bool {
        self.special || looks_special(&self.content)
    }
}

/// Returns true if a token without the flag looks like a special token.
///
/// Source: `does_token_look_special`, `convert_hf_to_gguf.py` of llama.cpp.
pub(crate) fn looks_special(text: &str) -> bool {
    let between = |start: &str, end: &str| text.starts_with(start) && text.ends_with(end);
    matches!(text, "<pad>" | "<mask>" | "<2mass>" | "[@BOS@]")
        || between("<|", "|>")
        || between("<｜", "｜>")
        || between("<unused", ">")
}

/// Reads the tokens under `added_tokens_decoder` in `tokenizer_config.json`, by id.
///
/// # Errors
/// Fails if a key is not an id or a value is not a token.
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

/// Reads the tokens of `added_tokens.json`, each text with its id, by id.
///
/// # Errors
/// Fails if the file is not a table of ids.
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

/// Merges the tokens of `tokenizer.json` with the configuration's flags, by id.
///
/// A token that only the configuration has is added if its id is free, or belongs to a piece with the same
/// text.
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
