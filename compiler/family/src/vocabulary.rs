//! From a checkpoint's tokenizer files to the vocabulary that a container carries.
//!
//! Source: `get_vocab_base` of `convert_hf_to_gguf.py` and `SpecialVocab` of gguf-py, llama.cpp.

use mc_decoder::vocabulary::{TokenType, Vocabulary, VocabularyKind};
use serde_json::Value;

use crate::config::{self, CONFIG, Config};
use crate::error::FamilyError;
use crate::pre_tokenizer::PreTokenizer;
use crate::special_tokens::{self, Settings};
use crate::tokenizer_json::{Merge, TokenizerJson};

/// The name of the tokenizer's configuration.
pub const TOKENIZER_CONFIG: &str = "tokenizer_config.json";
/// The name of the file that names the special tokens' texts.
pub const SPECIAL_TOKENS_MAP: &str = "special_tokens_map.json";
/// The name of the file with the defaults of generation.
pub const GENERATION_CONFIG: &str = "generation_config.json";

/// The bytes of a checkpoint's files that say something about its tokens.
#[derive(Clone, Copy, Debug)]
pub struct TokenizerFiles<'a> {
    /// `config.json`.
    pub config: &'a [u8],
    /// `tokenizer.json`.
    pub tokenizer: &'a [u8],
    /// `tokenizer_config.json`.
    pub tokenizer_config: Option<&'a [u8]>,
    /// `special_tokens_map.json`.
    pub special_tokens_map: Option<&'a [u8]>,
    /// `generation_config.json`.
    pub generation_config: Option<&'a [u8]>,
    /// `chat_template.jinja`.
    pub chat_template: Option<&'a [u8]>,
}

/// The vocabulary of a checkpoint whose token embedding has `n_vocab` rows.
///
/// # Errors
/// When a file cannot be read, the tokenizer is of another kind, its pre-tokenizer is not known, or it has more tokens
/// than the embedding has rows.
pub fn vocabulary(files: &TokenizerFiles<'_>, n_vocab: u32) -> Result<Vocabulary, FamilyError> {
    let json = TokenizerJson::from_bytes(files.tokenizer)?;
    let settings = parse(files)?;
    let pre_tokenizer = PreTokenizer::recognise(&json.pre_tokenizer)?;
    let (tokens, types) = tokens(&json, n_vocab)?;
    let special = special_tokens::special_tokens(&json, &settings, &tokens, &types)?;
    Ok(Vocabulary {
        kind: VocabularyKind::BytePair,
        pre_tokenizer: pre_tokenizer.name.to_owned(),
        tokens,
        types,
        merges: json.model.merges.iter().map(Merge::text).collect(),
        special,
        chat_template: chat_template(files.chat_template, &settings.tokenizer_config)?,
    })
}

fn parse(files: &TokenizerFiles<'_>) -> Result<Settings, FamilyError> {
    let optional = |file, text: Option<&[u8]>| match text {
        None => Ok(Value::Null),
        Some(text) => object(file, text),
    };
    Ok(Settings {
        config: object(CONFIG, files.config)?,
        tokenizer_config: optional(TOKENIZER_CONFIG, files.tokenizer_config)?,
        special_tokens_map: optional(SPECIAL_TOKENS_MAP, files.special_tokens_map)?,
        generation_config: optional(GENERATION_CONFIG, files.generation_config)?,
    })
}

fn object(file: &'static str, text: &[u8]) -> Result<Value, FamilyError> {
    let value = config::parse(file, text)?;
    Config::new(file, &value)?;
    Ok(value)
}

// Texts and types by id; an id that nothing is said about is a padding slot.
fn tokens(json: &TokenizerJson, n_vocab: u32) -> Result<(Vec<String>, Vec<TokenType>), FamilyError> {
    let added = json.added_tokens.iter().map(|token| (token.id, &token.content));
    let all = json.model.vocab.iter().map(|(piece, id)| (*id, piece)).chain(added);
    if let Some((id, token)) = all.clone().max_by_key(|(id, _)| *id).filter(|(id, _)| *id >= n_vocab) {
        return Err(FamilyError::Tokenizer(format!(
            "`tokenizer.json` gives `{token}` the id {id}, but the token embedding has {n_vocab} rows; resize the \
             embedding, or take the tokenizer that the model was trained with"
        )));
    }
    let mut tokens: Vec<String> = (0..n_vocab).map(|id| format!("[PAD{id}]")).collect();
    let mut types = vec![TokenType::Unused; n_vocab as usize];
    for (id, piece) in all {
        piece.clone_into(&mut tokens[id as usize]);
        types[id as usize] = TokenType::Normal;
    }
    for token in &json.added_tokens {
        types[token.id as usize] =
            if token.is_control() { TokenType::Control } else { TokenType::UserDefined };
    }
    Ok((tokens, types))
}

// A file of its own wins; else the text in the tokenizer's configuration, or the one called `default` of several.
fn chat_template(file: Option<&[u8]>, tokenizer_config: &Value) -> Result<Option<String>, FamilyError> {
    if let Some(text) = file {
        let text = std::str::from_utf8(text).map_err(|error| FamilyError::ChatTemplate {
            action: "read",
            reason: format!("`chat_template.jinja` is not UTF-8: {error}"),
        })?;
        return Ok(Some(text.to_owned()));
    }
    let text = match &tokenizer_config["chat_template"] {
        Value::Array(templates) => templates
            .iter()
            .find(|template| template["name"] == "default")
            .and_then(|template| template["template"].as_str()),
        template => template.as_str(),
    };
    Ok(text.map(str::to_owned))
}
