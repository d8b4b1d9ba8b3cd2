//! Which tokens begin, end and fill a sequence, and which are put around a text.
//!
//! A checkpoint says this in up to five files that often disagree. The order of belief is that of the reference
//! converter: the texts in `tokenizer_config.json`, then the ids in `config.json` and `generation_config.json`.
//!
//! Source: `SpecialVocab`, gguf-py of llama.cpp; the ends of a turn are `llama-vocab.cpp`'s.

use std::collections::BTreeSet;

use mc_decoder::vocabulary::{SpecialTokens, TokenType};
use serde_json::Value;

use crate::error::FamilyError;
use crate::tokenizer_json::TokenizerJson;

/// Control tokens that end a turn or a text, whatever the configuration says.
const ENDS: &[&str] = &[
    "<|eot_id|>",
    "<|eom_id|>",
    "<|im_end|>",
    "<|end|>",
    "<|end_of_text|>",
    "<|endoftext|>",
    "<end_of_turn>",
];

/// The parsed files beside `tokenizer.json`; an absent one is `null`.
pub(crate) struct Settings {
    pub(crate) config: Value,
    pub(crate) tokenizer_config: Value,
    pub(crate) special_tokens_map: Value,
    pub(crate) generation_config: Value,
}

/// Reads the special tokens of a checkpoint with these `tokens` and `types` by id.
///
/// # Errors
/// When the token that a configuration names by its text is not in `tokenizer.json`.
pub(crate) fn special_tokens(
    json: &TokenizerJson,
    settings: &Settings,
    tokens: &[String],
    types: &[TokenType],
) -> Result<SpecialTokens, FamilyError> {
    let reader = Reader { json, settings, n_vocab: tokens.len() };
    let template = Template::read(json);
    let (bos, named_eos) = (reader.id("bos")?, reader.id("eos")?);
    // A template that ends a text with another token knows better than the configuration.
    let eos = template.as_ref().and_then(|template| reader.added(template.last?)).or(named_eos);
    let by_template = |first: Option<&str>, id: Option<u32>| match first {
        Some(first) => id.is_some() && reader.added(first) == id,
        None => false,
    };
    let add_bos = template.as_ref().and_then(|template| Some(by_template(Some(template.first?), bos)));
    let add_eos = template.as_ref().is_some_and(|template| by_template(template.last, eos));
    let add_sep = template.as_ref().and_then(|template| {
        let middle = template.middle.first()?;
        let separates = |token: &str| reader.added(token).is_some_and(|id| Some(id) == eos);
        Some(
            template.last.is_none() && separates(middle)
                || template.middle.get(1).is_some_and(|token| separates(token)),
        )
    });
    Ok(SpecialTokens {
        bos,
        eos,
        stop: stop(&reader, [eos, named_eos], tokens, types),
        pad: reader.id("pad")?,
        unknown: reader.id("unk")?,
        add_bos: reader.switch("add_bos_token").or(add_bos),
        add_eos: reader.switch("add_eos_token").or(Some(add_eos)),
        add_sep: reader.switch("add_sep_token").or(add_sep),
    })
}

fn stop(reader: &Reader<'_>, eos: [Option<u32>; 2], tokens: &[String], types: &[TokenType]) -> Vec<u32> {
    let mut stop: BTreeSet<u32> = eos.into_iter().flatten().collect();
    for settings in [&reader.settings.config, &reader.settings.generation_config] {
        stop.extend(reader.ids(&settings["eos_token_id"]));
    }
    for (id, (token, kind)) in (0..).zip(tokens.iter().zip(types)) {
        if *kind == TokenType::Control && ENDS.contains(&token.as_str()) {
            stop.insert(id);
        }
    }
    stop.into_iter().collect()
}

/// Answers what the files say about one special token.
struct Reader<'a> {
    json: &'a TokenizerJson,
    settings: &'a Settings,
    n_vocab: usize,
}

impl Reader<'_> {
    // The id of `bos`, `eos`, `pad` or `unk`.
    fn id(&self, name: &str) -> Result<Option<u32>, FamilyError> {
        let key = format!("{name}_token");
        for settings in [&self.settings.tokenizer_config, &self.settings.special_tokens_map] {
            if let Some(text) = text(&settings[key.as_str()]) {
                return match self.added(text).or_else(|| self.json.model.vocab.get(text).copied()) {
                    Some(id) => Ok(Some(id)),
                    None => Err(FamilyError::Tokenizer(format!(
                        "`{key}` is `{text}`, which is no token of `tokenizer.json`; take both files from the same folder"
                    ))),
                };
            }
        }
        let key = format!("{name}_token_id");
        let settings = [&self.settings.config, &self.settings.generation_config];
        Ok(settings.into_iter().find_map(|settings| self.ids(&settings[key.as_str()]).next()))
    }

    // The id of an added token by its text.
    fn added(&self, text: &str) -> Option<u32> {
        self.json.added_tokens.iter().find(|token| token.content == text).map(|token| token.id)
    }

    // One id or a list of them, without those outside the vocabulary (`-1` stands for none).
    fn ids(&self, value: &Value) -> impl Iterator<Item = u32> {
        let items = match value {
            Value::Array(items) => items.as_slice(),
            item => std::slice::from_ref(item),
        };
        let ids = items.iter().filter_map(|item| u32::try_from(item.as_u64()?).ok());
        ids.filter(|id| (*id as usize) < self.n_vocab)
    }

    fn switch(&self, key: &str) -> Option<bool> {
        self.settings.tokenizer_config[key].as_bool()
    }
}

// A token's text: plain, or as the object of an added token.
fn text(value: &Value) -> Option<&str> {
    value.as_str().or_else(|| value["content"].as_str()).filter(|text| !text.is_empty())
}

/// What the post-processor of `tokenizer.json` puts around one text and between two.
struct Template<'a> {
    first: Option<&'a str>,
    last: Option<&'a str>,
    middle: Vec<&'a str>,
}

impl<'a> Template<'a> {
    fn read(json: &'a TokenizerJson) -> Option<Self> {
        let processors = match json.post_processor["processors"].as_array() {
            Some(processors) => processors.as_slice(),
            None => std::slice::from_ref(&json.post_processor),
        };
        let template = processors.iter().find(|processor| processor["type"] == "TemplateProcessing")?;
        let single = template["single"].as_array().filter(|single| single.len() > 1)?;
        let (first, last) = (special(single.first()?), special(single.last()?));
        let pair = template["pair"].as_array().map_or(&[][..], Vec::as_slice);
        Some(Self { first, last, middle: middle(pair) })
    }
}

fn special(piece: &Value) -> Option<&str> {
    piece["SpecialToken"]["id"].as_str()
}

// The special tokens between the two texts of a pair.
fn middle(pair: &[Value]) -> Vec<&str> {
    let is_text = |piece: &Value| piece.get("Sequence").is_some();
    let after_first = pair.iter().skip_while(|piece| !is_text(piece)).skip(1);
    after_first.take_while(|piece| !is_text(piece)).filter_map(special).collect()
}
