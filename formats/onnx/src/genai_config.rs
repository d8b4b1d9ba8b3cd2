//! `genai_config.json`: the facts that the runtime needs besides the graph.
//!
//! Source of the keys: `config.cpp` of onnxruntime-genai 0.18, and the files that its model builder writes.

use mc_decoder::program::Decoder;
use mc_decoder::vocabulary::SpecialTokens;
use mc_exporter::model_description::ModelDescription;
use serde_json::{Map, Value, json};

use crate::proto::MODEL_FILE;
use crate::settings::Settings;
use crate::value_names::{ATTENTION_MASK, INPUT_IDS, past, past_columns, present, present_columns};

/// Name of the file.
pub(crate) const FILE: &str = "genai_config.json";

/// The runtime's name for a family, by the project's.
const MODEL_TYPES: &[(&str, &str)] = &[
    ("gemma2", "gemma2"),
    ("gemma3", "gemma3_text"),
    ("granite", "granite"),
    ("lfm2", CONVOLUTIONS),
    ("llama", "llama"),
    ("mistral", "mistral"),
    ("phi3", "phi3"),
    ("qwen2", "qwen2"),
    ("qwen3", "qwen3"),
    ("smollm3", "smollm3"),
];

/// The runtime's name for models with short convolutions, whose states it must manage.
const CONVOLUTIONS: &str = "lfm2";

/// The runtime's name for any other decoder.
const ANY_DECODER: &str = "decoder";

/// Placeholder of the layer's number in the runtime's patterns.
const LAYER: &str = "%d";

/// The bytes of the file.
pub(crate) fn bytes(model: &ModelDescription<'_>, settings: &Settings) -> Vec<u8> {
    let config = sorted(&json!({ "model": of_model(model, settings), "search": search(model, settings) }));
    let mut bytes = serde_json::to_vec_pretty(&config).expect("keys are text and numbers are finite");
    bytes.push(b'\n');
    bytes
}

/// The value with sorted keys, whatever order the JSON library keeps.
fn sorted(value: &Value) -> Value {
    let Value::Object(object) = value else { return value.clone() };
    let mut entries: Vec<(&String, &Value)> = object.iter().collect();
    entries.sort_by_key(|(key, _)| *key);
    Value::Object(entries.into_iter().map(|(key, value)| (key.clone(), sorted(value))).collect())
}

fn of_model(model: &ModelDescription<'_>, settings: &Settings) -> Value {
    let special = model.vocabulary.map(|vocabulary| vocabulary.special.clone()).unwrap_or_default();
    let mut object = json!({
        "context_length": settings.context,
        "decoder": of_decoder(model.decoder),
        "type": model_type(model.decoder),
        "vocab_size": model.decoder.n_vocab,
    });
    let tokens = tokens(&special);
    object.as_object_mut().expect("it was written as an object").extend(tokens);
    object
}

/// The ids with a special meaning. The runtime requires one for padding; nothing is padded without batches.
fn tokens(special: &SpecialTokens) -> Map<String, Value> {
    let mut stop = special.stop.clone();
    if stop.is_empty() {
        stop.extend(special.eos);
    }
    let pad = special.pad.or_else(|| stop.first().copied());
    let eos = match stop[..] {
        [] => None,
        [one] => Some(json!(one)),
        _ => Some(json!(stop)),
    };
    let entries = [
        ("bos_token_id", special.bos.map(|id| json!(id))),
        ("eos_token_id", eos),
        ("pad_token_id", pad.map(|id| json!(id))),
    ];
    entries.into_iter().filter_map(|(key, id)| Some((key.to_owned(), id?))).collect()
}

fn model_type(decoder: &Decoder) -> &'static str {
    if has_convolutions(decoder) {
        return CONVOLUTIONS;
    }
    let row = MODEL_TYPES.iter().find(|(family, _)| *family == decoder.family);
    row.map_or(ANY_DECODER, |(_, name)| name)
}

fn has_convolutions(decoder: &Decoder) -> bool {
    decoder.blocks.iter().any(|block| block.attention().is_none())
}

fn of_decoder(decoder: &Decoder) -> Value {
    // The runtime requires these numbers of every layer; they size its caches.
    let attention = decoder.attentions().next();
    let count = |of: fn(&mc_decoder::kinds::attention::Attention) -> u32| attention.map_or(0, of);
    let mut inputs = json!({
        "attention_mask": ATTENTION_MASK,
        "input_ids": INPUT_IDS,
        "past_key_names": past(LAYER, "key"),
        "past_value_names": past(LAYER, "value"),
    });
    let mut outputs = json!({
        "logits": mc_decoder::lower::LOGITS,
        "present_key_names": present(LAYER, "key"),
        "present_value_names": present(LAYER, "value"),
    });
    let mut of_states = json!({});
    if has_convolutions(decoder) {
        inputs["past_conv_names"] = json!(past_columns(LAYER));
        outputs["present_conv_names"] = json!(present_columns(LAYER));
        let kinds = decoder
            .blocks
            .iter()
            .map(|block| if block.attention().is_some() { "full_attention" } else { "conv" });
        of_states = json!({ "layer_types": kinds.collect::<Vec<_>>(), "conv_cache_size": columns(decoder) });
    }
    let mut object = json!({
        "filename": MODEL_FILE,
        "head_size": count(|attention| attention.head_dim),
        "hidden_size": decoder.n_embd,
        "inputs": inputs,
        "num_attention_heads": count(|attention| attention.n_heads),
        "num_hidden_layers": decoder.blocks.len(),
        "num_key_value_heads": count(|attention| attention.n_kv_heads),
        "outputs": outputs,
        "session_options": { "log_id": "onnxruntime-genai", "provider_options": [] },
    });
    if let (Some(object), Value::Object(of_states)) = (object.as_object_mut(), of_states) {
        object.extend(of_states);
    }
    object
}

/// Number of columns that a convolution keeps.
fn columns(decoder: &Decoder) -> u32 {
    use mc_decoder::kinds::short_convolution::ShortConvolution;
    let kernels = decoder.blocks.iter().filter_map(|block| block.mixer.get::<ShortConvolution>());
    kernels.map(|kernel| kernel.kernel_len.saturating_sub(1)).max().unwrap_or(0)
}

/// True if the authors of the model sample by default; as in Transformers, their parameters alone do not say so.
fn is_sampled(model: &ModelDescription<'_>) -> bool {
    let config = model.file("generation_config.json");
    let config = config.and_then(|bytes| serde_json::from_slice::<Value>(bytes).ok());
    config.and_then(|config| config.get("do_sample")?.as_bool()).unwrap_or(false)
}

/// Defaults of a generation: those of the model's authors, as far as the runtime has them.
fn search(model: &ModelDescription<'_>, settings: &Settings) -> Value {
    let sampling = model.facts.map(|facts| facts.sampling).unwrap_or_default();
    let mut search = json!({
        "do_sample": is_sampled(model),
        "max_length": settings.context,
        "past_present_share_buffer": true,
    });
    let numbers = [
        ("repetition_penalty", sampling.repetition_penalty),
        ("temperature", sampling.temperature),
        ("top_p", sampling.top_p),
    ];
    for (key, number) in numbers {
        if let Some(number) = number {
            // Through text, because the 64-bit value of a 32-bit number has digits that nobody wrote.
            search[key] = number.to_string().parse::<f64>().map_or(Value::Null, |number| json!(number));
        }
    }
    if let Some(top_k) = sampling.top_k {
        search["top_k"] = json!(top_k);
    }
    search
}
