//! The tokens that begin, end and pad a sequence, and those that are added around a text.
//!
//! A checkpoint declares this in up to five files that often disagree. The precedence is that of the
//! reference converter: the tokens that `tokenizer.json` adds around a text, the texts in
//! `tokenizer_config.json`, then the ids in `config.json`. If these name no begin or end token,
//! `special_tokens_map.json` and `generation_config.json` are used, which the converter does not read.
//!
//! Source: `SpecialVocab`, gguf-py of llama.cpp; the ends of a turn are `llama-vocab.cpp`'s.

use std::collections::BTreeSet;

use mc_decoder::vocabulary::{SpecialKey, SpecialTokens, TokenType, VocabularyKind};
use serde_json::Value;

use crate::config::{CONFIG, shown};
use crate::error::FamilyError;
use crate::tokenizer::added_tokens::AddedToken;
use crate::tokenizer::tokenizer_json::TokenizerJson;
use crate::tokenizer_files::{GENERATION_CONFIG, SPECIAL_TOKENS_MAP, TOKENIZER_CONFIG};

/// The largest id that a configuration may name, for any vocabulary.
const MAX_ID: i64 = 1 << 24;

/// Control tokens that end a turn or a text in any configuration.
const ENDS: &[&str] = &[
    "<|eot_id|>",
    "<|eom_id|>",
    "<|im_end|>",
    "<|end|>",
    "<|end_of_text|>",
    "<|endoftext|>",
    "<end_of_turn>",
];

/// The roles with an id, in the order in which the files are searched for them.
const ROLES: [(SpecialKey, &str); 6] = [
    (SpecialKey::Bos, "bos"),
    (SpecialKey::Eos, "eos"),
    (SpecialKey::Unknown, "unk"),
    (SpecialKey::Separator, "sep"),
    (SpecialKey::Padding, "pad"),
    (SpecialKey::Mask, "mask"),
];

/// The parsed files beside the tokenizer; an absent one is `null`.
pub(crate) struct Settings {
    pub(crate) config: Value,
    pub(crate) tokenizer_config: Value,
    pub(crate) special_tokens_map: Value,
    pub(crate) generation_config: Value,
}

/// The sources of the special tokens.
pub(crate) struct Sources<'a> {
    pub(crate) json: Option<&'a TokenizerJson>,
    /// The added tokens that `tokenizer.json` lists.
    pub(crate) added: &'a [AddedToken],
    pub(crate) settings: &'a Settings,
    pub(crate) tokens: &'a [String],
    pub(crate) types: &'a [TokenType],
}

/// Reads the special tokens of a checkpoint.
///
/// # Errors
/// Fails if an id, a text or a switch has another type, or if the begin or end token that a configuration
/// names by its text is not a token.
pub(crate) fn special_tokens(sources: &Sources<'_>) -> Result<SpecialTokens, FamilyError> {
    check_ids(CONFIG, &sources.settings.config)?;
    check_ids(GENERATION_CONFIG, &sources.settings.generation_config)?;
    check_texts(TOKENIZER_CONFIG, &sources.settings.tokenizer_config)?;
    check_texts(SPECIAL_TOKENS_MAP, &sources.settings.special_tokens_map)?;
    let mut reader = Reader::new(sources);
    reader.read_processors();
    reader.read_config();
    reader.read_ids(&sources.settings.config);
    reader.read_others()?;
    let mut special = reader.special;
    special.stop = stop(sources, &special);
    // Containers list the ids before the switches.
    special
        .order
        .sort_by_key(|key| matches!(key, SpecialKey::AddBos | SpecialKey::AddEos | SpecialKey::AddSep));
    Ok(special)
}

/// Checks the ids in a configuration.
///
/// Some use `-1` for none, and others list ids beyond their vocabulary; those are skipped.
fn check_ids(file: &'static str, settings: &Value) -> Result<(), FamilyError> {
    for (_, name) in ROLES {
        let key = format!("{name}_token_id");
        let is_id =
            |item: &Value| item.is_null() || item.as_i64().is_some_and(|id| (-1..=MAX_ID).contains(&id));
        let value = value(settings, &key);
        let is_right = value.as_array().map_or_else(|| is_id(value), |items| items.iter().all(is_id));
        if !is_right {
            let expected = format!("the id of a token, from 0 to {MAX_ID}, or -1 for none");
            return Err(bad(file, key, expected, value));
        }
    }
    Ok(())
}

/// Checks the texts and switches in a tokenizer's configuration.
fn check_texts(file: &'static str, settings: &Value) -> Result<(), FamilyError> {
    for name in ROLES.map(|(_, name)| name).into_iter().chain(["cls"]) {
        let key = format!("{name}_token");
        let token = &settings[key.as_str()];
        if !token.is_null() && !token.is_string() && !token["content"].is_string() {
            return Err(bad(file, key, "a token's text".to_owned(), token));
        }
        let key = format!("add_{name}_token");
        let switch = &settings[key.as_str()];
        if !switch.is_null() && !switch.is_boolean() {
            return Err(bad(file, key, "`true` or `false`".to_owned(), switch));
        }
    }
    Ok(())
}

fn bad(file: &'static str, key: String, expected: String, found: &Value) -> FamilyError {
    FamilyError::BadValue { file, key, expected, found: shown(found) }
}

fn stop(sources: &Sources<'_>, special: &SpecialTokens) -> Vec<u32> {
    let mut stop: BTreeSet<u32> = [special.eos, special.end_of_turn].into_iter().flatten().collect();
    for settings in [&sources.settings.config, &sources.settings.generation_config] {
        stop.extend(ids(value(settings, "eos_token_id"), sources.tokens.len()));
    }
    for (id, (token, kind)) in (0..).zip(sources.tokens.iter().zip(sources.types)) {
        if *kind == TokenType::Control && ENDS.contains(&token.as_str()) {
            stop.insert(id);
        }
    }
    stop.into_iter().collect()
}

/// Reads one file after the other; earlier files take precedence.
struct Reader<'a> {
    sources: &'a Sources<'a>,
    special: SpecialTokens,
    bos: Option<&'a str>,
    eos: Option<&'a str>,
    separator: Option<&'a str>,
    class: Option<&'a str>,
    /// The text of the end token, if the tokenizer adds another one at the end.
    end_of_turn: Option<&'a str>,
}

impl<'a> Reader<'a> {
    fn new(sources: &'a Sources<'a>) -> Self {
        let named = |key: &str| text(&sources.settings.tokenizer_config[key]);
        let (class, separator) = (named("cls_token"), named("sep_token"));
        let (bos, eos) = (named("bos_token").or(class), named("eos_token").or(separator));
        Self { sources, special: SpecialTokens::default(), bos, eos, separator, class, end_of_turn: None }
    }

    fn read_processors(&mut self) {
        let Some(json) = self.sources.json else { return };
        if json.kind() == VocabularyKind::BytePair {
            // Files of this kind have both switches, even if nothing is added.
            self.switch(SpecialKey::AddBos, false);
            self.switch(SpecialKey::AddEos, false);
        }
        let processors = match json.post_processor["processors"].as_array() {
            Some(processors) => processors.as_slice(),
            None => std::slice::from_ref(&json.post_processor),
        };
        for processor in processors {
            match processor["type"].as_str() {
                Some("RobertaProcessing") => {
                    for key in [SpecialKey::AddBos, SpecialKey::AddEos, SpecialKey::AddSep] {
                        self.switch(key, true);
                    }
                    self.class = self.class.or_else(|| processor["cls"][0].as_str());
                    self.separator = self.separator.or_else(|| processor["sep"][0].as_str());
                }
                Some("TemplateProcessing") => self.read_template(processor),
                _ => {}
            }
        }
    }

    fn read_template(&mut self, processor: &'a Value) {
        let is_configured = !self.sources.settings.tokenizer_config.is_null();
        let single = processor["single"].as_array().map_or(&[][..], Vec::as_slice);
        let (mut first, mut last) = (None, None);
        if single.len() > 1 {
            first = single.first().and_then(special);
            last = single.last().and_then(special);
        }
        if let Some(first) = first {
            if !is_configured {
                self.bos = Some(first);
            }
            self.switch(SpecialKey::AddBos, [self.bos, self.class].contains(&Some(first)));
        }
        if let Some(last) = last {
            // A template that ends a text with another token takes precedence over the configuration.
            if is_configured && self.eos != Some(last) {
                self.end_of_turn = self.eos;
            }
            self.eos = Some(last);
            self.switch(SpecialKey::AddEos, true);
        }
        let pair = processor["pair"].as_array().map_or(&[][..], Vec::as_slice);
        let between = middle(pair);
        if let Some(separator) = between.first() {
            let separates = |token: &str| [self.separator, self.eos].contains(&Some(token));
            let is_added =
                last.is_none() && separates(separator) || between.len() == 2 && separates(between[1]);
            self.switch(SpecialKey::AddSep, is_added);
        }
    }

    // Reads the texts, and the switches that take precedence over the tokenizer's template.
    fn read_config(&mut self) {
        let config = &self.sources.settings.tokenizer_config;
        let switches = [SpecialKey::AddBos, SpecialKey::AddEos, SpecialKey::AddSep];
        for ((role, name), add) in
            ROLES.into_iter().zip([Some(switches[0]), Some(switches[1]), None, Some(switches[2]), None, None])
        {
            if let (Some(add), Some(flag)) = (add, config[format!("add_{name}_token")].as_bool()) {
                self.switch(add, flag);
            }
            let named = match role {
                SpecialKey::Bos => self.bos,
                SpecialKey::Eos => self.eos,
                SpecialKey::Separator => self.separator,
                _ => text(&config[format!("{name}_token")]),
            };
            self.id(role, named.and_then(|text| self.added(text)));
        }
        self.id(SpecialKey::EndOfTurn, self.end_of_turn.and_then(|text| self.added(text)));
    }

    fn read_ids(&mut self, settings: &Value) {
        for (role, name) in ROLES {
            let id = value(settings, &format!("{name}_token_id")).as_u64();
            let id = id.and_then(|id| u32::try_from(id).ok());
            self.id(role, id.filter(|id| (*id as usize) < self.sources.tokens.len()));
        }
    }

    // Reads the other files of the checkpoint, if the converter finds no begin or end token.
    fn read_others(&mut self) -> Result<(), FamilyError> {
        let settings = self.sources.settings;
        for (role, name) in &ROLES[..2] {
            if self.special.id(*role).is_some() {
                continue;
            }
            let key = format!("{name}_token");
            let named = if *role == SpecialKey::Bos { self.bos } else { self.eos };
            if let Some(named) = named.or_else(|| text(&settings.special_tokens_map[key.as_str()])) {
                let place = self.sources.tokens.iter().position(|token| token == named);
                let id = place.ok_or_else(|| {
                    FamilyError::Tokenizer(format!(
                        "`{key}` is `{named}`, which is not a token of the tokenizer; take both files from the \
                         same folder"
                    ))
                })?;
                self.id(*role, Some(id as u32));
                continue;
            }
            for settings in [&settings.config, &settings.generation_config] {
                let listed = value(settings, &format!("{name}_token_id"));
                self.id(*role, ids(listed, self.sources.tokens.len()).next());
            }
        }
        Ok(())
    }

    // Returns the id of an added token by its text.
    fn added(&self, text: &str) -> Option<u32> {
        self.sources.added.iter().find(|token| token.content == text).map(|token| token.id)
    }

    fn id(&mut self, key: SpecialKey, id: Option<u32>) {
        if id.is_none() || self.special.id(key).is_some() {
            return;
        }
        match key {
            SpecialKey::Bos => self.special.bos = id,
            SpecialKey::Eos => self.special.eos = id,
            SpecialKey::Unknown => self.special.unknown = id,
            SpecialKey::Separator => self.special.separator = id,
            SpecialKey::Padding => self.special.pad = id,
            SpecialKey::Mask => self.special.mask = id,
            SpecialKey::EndOfTurn => self.special.end_of_turn = id,
            SpecialKey::AddBos | SpecialKey::AddEos | SpecialKey::AddSep => return,
        }
        self.special.order.push(key);
    }

    fn switch(&mut self, key: SpecialKey, flag: bool) {
        if self.special.switch(key).is_none() {
            self.special.order.push(key);
        }
        match key {
            SpecialKey::AddBos => self.special.add_bos = Some(flag),
            SpecialKey::AddEos => self.special.add_eos = Some(flag),
            SpecialKey::AddSep => self.special.add_sep = Some(flag),
            _ => {}
        }
    }
}

// Returns a key of `config.json`; multimodal models have those of the text model in `text_config`.
fn value<'a>(settings: &'a Value, key: &str) -> &'a Value {
    match &settings[key] {
        Value::Null => &settings["text_config"][key],
        value => value,
    }
}

// Returns one id or a list of ids, without those outside the vocabulary (`-1` means none).
fn ids(value: &Value, n_vocab: usize) -> impl Iterator<Item = u32> {
    let items = match value {
        Value::Array(items) => items.as_slice(),
        item => std::slice::from_ref(item),
    };
    let ids = items.iter().filter_map(|item| u32::try_from(item.as_u64()?).ok());
    ids.filter(move |id| (*id as usize) < n_vocab)
}

// Returns a token's text, which is plain or in the object of an added token.
fn text(value: &Value) -> Option<&str> {
    value.as_str().or_else(|| value["content"].as_str()).filter(|text| !text.is_empty())
}

fn special(piece: &Value) -> Option<&str> {
    piece["SpecialToken"]["id"].as_str()
}

// Returns the special tokens between the two texts of a pair.
fn middle(pair: &[Value]) -> Vec<&str> {
    let is_text = |piece: &Value| piece.get("Sequence").is_some();
    let after_first = pair.iter().skip_while(|piece| !is_text(piece)).skip(1);
    after_first.take_while(|piece| !is_text(piece)).filter_map(special).collect()
}
