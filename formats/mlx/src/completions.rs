//! Keys that mlx-lm needs, or reads in another place, and that the configuration of a checkpoint may leave out. Without
//! them mlx-lm would refuse the model, or run another one.

use mc_decoder::program::Head;
use mc_exporter::model_description::ModelDescription;

use crate::class::{self, DEFAULT_PATTERN, Windows};
use crate::json_text::{JsonText, quoted};
use crate::settings::is_short_context;

/// Adds the missing keys. Those that exist stay, except for the factors of a short context.
pub(crate) fn complete(model: &ModelDescription<'_>, config: &mut JsonText) {
    // The text model of a multimodal configuration is the part that matters.
    if let Some(mut text) = config.object("text_config") {
        complete_text(model, &mut text);
        config.set("text_config", text.to_line());
    } else {
        complete_text(model, config);
    }
}

fn complete_text(model: &ModelDescription<'_>, config: &mut JsonText) {
    if let Some(class) = class::of_family(&model.decoder.family) {
        set_missing(config, "model_type", quoted(class.name));
    }
    head(model, config);
    width(model, config);
    windows(model, config);
    rotary(config);
    scaling(model, config);
    vocabulary(model, config);
}

fn set_missing(config: &mut JsonText, key: &str, text: impl Into<String>) {
    if config.text(key).is_none() {
        config.set(key, text);
    }
}

/// Adds the kind of head if the configuration does not say it: mlx-lm's classes and transformers assume different ones.
fn head(model: &ModelDescription<'_>, config: &mut JsonText) {
    let is_tied = model.decoder.head == Head::Tied;
    let assumed = class::of_family(&model.decoder.family).and_then(|class| class.is_tied);
    if assumed != Some(is_tied) {
        set_missing(config, "tie_word_embeddings", is_tied.to_string());
    }
}

/// Keys that mlx-lm requires, with the defaults of transformers.
const LFM2: [(&str, &str); 5] = [
    ("conv_bias", "false"),
    ("conv_L_cache", "3"),
    ("block_multiple_of", "256"),
    ("block_ffn_dim_multiplier", "1.0"),
    ("block_auto_adjust_ff_dim", "true"),
];

fn width(model: &ModelDescription<'_>, config: &mut JsonText) {
    match (model.decoder.family.as_str(), model.decoder.attentions().next()) {
        ("lfm2", _) => {
            set_missing(config, "block_dim", model.decoder.n_embd.to_string());
            for (key, default) in LFM2 {
                set_missing(config, key, default);
            }
        }
        ("qwen3" | "qwen3moe", Some(attention)) => {
            set_missing(config, "head_dim", attention.head_dim.to_string());
        }
        _ => {}
    }
}

fn windows(model: &ModelDescription<'_>, config: &mut JsonText) {
    let Some(class) = class::of_family(&model.decoder.family) else { return };
    let has_window = |window: Option<u32>| window.is_some_and(|window| window < model.decoder.context_length);
    match class.windows {
        Windows::Ignored => {}
        Windows::Pattern => {
            if let Some(pattern) = class::pattern(model.decoder).filter(|pattern| *pattern != DEFAULT_PATTERN)
            {
                set_missing(config, "sliding_window_pattern", pattern.to_string());
            }
        }
        Windows::LayerTypes => {
            let windows: Vec<bool> =
                model.decoder.attentions().map(|attention| has_window(attention.window)).collect();
            if windows.contains(&true) && windows.contains(&false) {
                let names = windows.iter().map(|has_window| {
                    quoted(if *has_window { "sliding_attention" } else { "full_attention" })
                });
                set_missing(config, "layer_types", format!("[{}]", names.collect::<Vec<_>>().join(", ")));
            }
        }
    }
}

/// Transformers 5 writes `rope_parameters`, of all layers or by type of layer; most classes read the older keys.
fn rotary(config: &mut JsonText) {
    let Some(parameters) = config.object("rope_parameters") else { return };
    let of_type = |name: &str| parameters.object(name);
    let main = of_type("full_attention").unwrap_or_else(|| parameters.clone());
    if let Some(base) = main.text("rope_theta") {
        set_missing(config, "rope_theta", base);
    }
    if let Some(base) = of_type("sliding_attention").as_ref().and_then(|local| local.text("rope_theta")) {
        set_missing(config, "rope_local_base_freq", base);
    }
    if main.text("rope_type").is_some_and(|name| name != quoted("default")) {
        set_missing(config, "rope_scaling", main.to_line());
    }
}

/// mlx-lm's Phi-3 requires `type`, an older name of `rope_type`, and has one set of factors.
fn scaling(model: &ModelDescription<'_>, config: &mut JsonText) {
    let Some(mut scaling) = config.object("rope_scaling") else { return };
    let before = scaling.clone();
    if model.decoder.family == "phi3"
        && !scaling.has("type")
        && let Some(name) = scaling.text("rope_type").map(str::to_owned)
    {
        scaling.set("type", name);
    }
    if is_short_context(model.settings)
        && let Some(short) = scaling.text("short_factor").map(str::to_owned)
    {
        scaling.set("long_factor", short);
    }
    if scaling != before {
        config.set("rope_scaling", scaling.to_line());
    }
}

/// An adapter may add tokens.
fn vocabulary(model: &ModelDescription<'_>, config: &mut JsonText) {
    let n_vocab = model.decoder.n_vocab.to_string();
    if config.text("vocab_size").is_some_and(|stated| stated != n_vocab) {
        config.set("vocab_size", n_vocab);
    }
}
