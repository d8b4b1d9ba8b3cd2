//! Finds the chat templates of a checkpoint.
//!
//! Transformers has stored them in four locations over time: as text in `tokenizer_config.json`, as a list of
//! named texts there, in `chat_template.json`, and today in `chat_template.jinja` with additional ones in
//! `additional_chat_templates`. A separate file takes precedence over the configuration, as in Transformers.
//!
//! Source: `SpecialVocab` of gguf-py, llama.cpp; names are cleaned as its `add_chat_template` does.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::error::FamilyError;
use crate::tokenizer_files::TokenizerFiles;

/// The chat templates of a checkpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ChatTemplates {
    /// The default template.
    pub(crate) default: Option<String>,
    /// Others, in the order of their names.
    pub(crate) named: Vec<(String, String)>,
}

impl ChatTemplates {
    /// Reads the templates in `files`; `tokenizer_config` is already parsed.
    pub(crate) fn read(files: &TokenizerFiles<'_>, tokenizer_config: &Value) -> Result<Self, FamilyError> {
        if let Some(text) = files.chat_template {
            let mut named = BTreeMap::new();
            for (file, text) in files.additional_chat_templates {
                let name = file.strip_suffix(".jinja").unwrap_or(file);
                named.insert(clean(name), utf8(file, text)?);
            }
            let default = Some(utf8("chat_template.jinja", text)?);
            return Ok(Self { default, named: named.into_iter().collect() });
        }
        if let Some(text) = files.chat_template_json {
            let json: Value =
                serde_json::from_slice(text).map_err(|error| unreadable("chat_template.json", &error))?;
            if !json["chat_template"].is_null() {
                return Ok(Self::of(&json["chat_template"]));
            }
        }
        Ok(Self::of(&tokenizer_config["chat_template"]))
    }

    fn of(value: &Value) -> Self {
        let mut templates = Self { default: value.as_str().map(str::to_owned), named: Vec::new() };
        let mut named = BTreeMap::new();
        for item in value.as_array().into_iter().flatten() {
            let (Some(name), Some(template)) = (item["name"].as_str(), item["template"].as_str()) else {
                continue;
            };
            match clean(name).as_str() {
                "" => {}
                "default" => templates.default = Some(template.to_owned()),
                name => {
                    named.insert(name.to_owned(), template.to_owned());
                }
            }
        }
        templates.named = named.into_iter().collect();
        templates
    }
}

// A name becomes part of a key.
fn clean(name: &str) -> String {
    name.chars().map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '_' }).collect()
}

fn utf8(file: &str, text: &[u8]) -> Result<String, FamilyError> {
    std::str::from_utf8(text).map(str::to_owned).map_err(|error| unreadable(file, &error))
}

fn unreadable(file: &str, error: &dyn std::error::Error) -> FamilyError {
    FamilyError::ChatTemplate { place: format!("`{file}`"), action: "read", reason: error.to_string() }
}
