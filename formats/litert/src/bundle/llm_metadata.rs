//! The facts about a model that LiteRT-LM needs for a chat.
//!
//! Source: llm_metadata.proto, llm_model_type.proto, sampler_params.proto and token.proto of LiteRT-LM.

use mc_decoder::vocabulary::Vocabulary;
use mc_exporter::model_description::ModelDescription;
use mc_exporter::model_facts::SamplingDefaults;
use serde_json::Value;

use crate::bundle::protobuf::Message;
use crate::bundle::{stop_tokens, template};
use crate::settings::Settings;

/// The number of the field for the type of a model, by family. LiteRT-LM adapts tool calls to the type.
const MODEL_TYPES: &[(&str, u32)] = &[("gemma3", 4), ("qwen3", 5), ("qwen2", 7), ("lfm2", 11)];

/// The number for models of any other family.
const GENERIC: u32 = 1;

/// The texts around a model's reasoning.
const REASONING: [&str; 2] = ["<think>", "</think>"];

/// The message.
pub(crate) fn of(model: &ModelDescription<'_>, vocabulary: &Vocabulary, settings: &Settings) -> Vec<u8> {
    let source = vocabulary.chat_template.as_deref();
    let mut message = Message::new();
    if let Some(start) = start_token(vocabulary, source) {
        message = message.message(1, &token(start));
    }
    for id in &vocabulary.special.stop {
        message = message.message(2, &token(*id));
    }
    for text in stop_tokens::texts(vocabulary, source) {
        message = message.message(2, &Message::new().text(2, &text));
    }
    if let Some(sampler) = model.facts.and_then(|facts| sampler(&facts.sampling)) {
        message = message.message(4, &sampler);
    }
    message = message.integer(5, u64::from(settings.context));
    let family = model.decoder.family.as_str();
    let model_type =
        MODEL_TYPES.iter().find(|(name, _)| *name == family).map_or(GENERIC, |(_, number)| *number);
    message = message.message(6, &Message::new().message(model_type, &Message::new()));
    if let Some(template) = source {
        let eos = vocabulary.special.eos.and_then(|eos| vocabulary.tokens.get(eos as usize));
        message = message.text(7, &template::for_engine(template, eos.map(String::as_str)));
        if template.contains(REASONING[0]) {
            let channel = Message::new().text(1, "thought").text(2, REASONING[0]).text(3, REASONING[1]);
            message = message.message(8, &channel);
        }
    }
    let suppressed = suppressed(model);
    if !suppressed.is_empty() {
        message = message.message(9, &Message::new().integers(1, &suppressed));
    }
    if let Some(pad) = vocabulary.special.pad {
        message = message.message(13, &token(pad));
    }
    message.into_bytes()
}

/// A token by its id.
fn token(id: u32) -> Message {
    Message::new().message(1, &Message::new().integers(1, &[id]))
}

/// The token that LiteRT-LM puts before the first text, if the model's own tokenizer or template does so. Many models
/// declare a begin token that they never saw in training.
fn start_token(vocabulary: &Vocabulary, template: Option<&str>) -> Option<u32> {
    let bos = vocabulary.special.bos?;
    let is_in_template = template.is_some_and(|template| {
        let text = vocabulary.tokens.get(bos as usize).map(String::as_str);
        template.contains("bos_token") || text.is_some_and(|text| template.trim_start().starts_with(text))
    });
    (vocabulary.special.add_bos == Some(true) || is_in_template).then_some(bos)
}

/// The sampler that the model's makers recommend; `None` if they recommend none.
fn sampler(defaults: &SamplingDefaults) -> Option<Message> {
    let SamplingDefaults { top_k, top_p, temperature, .. } = *defaults;
    if top_k.is_none() && top_p.is_none() && temperature.is_none() {
        return None;
    }
    // 1: the most likely tokens; 2: the most likely ones with this probability together.
    let kind = if top_p.is_some() { 2 } else { 1 };
    let mut message = Message::new().integer(1, kind);
    if let Some(top_k) = top_k.and_then(|top_k| u64::try_from(top_k).ok()) {
        message = message.integer(2, top_k);
    }
    message = message.float(3, top_p.unwrap_or(1.0));
    Some(message.float(4, temperature.unwrap_or(1.0)))
}

/// Tokens that are never generated.
fn suppressed(model: &ModelDescription<'_>) -> Vec<u32> {
    let settings = model.file("generation_config.json").and_then(|text| serde_json::from_slice(text).ok());
    let ids = settings.as_ref().and_then(|settings: &Value| settings["suppress_tokens"].as_array());
    let id = |id: &Value| id.as_u64().and_then(|id| u32::try_from(id).ok());
    ids.map(|ids| ids.iter().filter_map(id).collect()).unwrap_or_default()
}
