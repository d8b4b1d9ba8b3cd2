//! Settings of `adapter_config.json` that are refused.
//!
//! They are refused by key, because an adapter that is applied only in part gives a model that was never
//! trained.

use serde_json::Value;

use crate::config::Config;
use crate::error::FamilyError;

/// Keys that must be absent, `null`, `false` or empty, with advice for the other case.
const REFUSED: &[(&str, &str)] = &[
    (
        "layer_replication",
        "merge this adapter with PEFT (`merge_and_unload`), or train it without copied layers",
    ),
    ("megatron_config", "save the adapter from one process, without Megatron"),
    ("alora_invocation_tokens", "an adapter that begins at a token cannot be merged into weights"),
    ("invocation_string", "an adapter that begins at a text cannot be merged into weights"),
    ("arrow_config", "give one adapter rather than a routed set"),
    ("lora_ga_config", "save the adapter with PEFT's `path_initial_model_for_weight_conversion`"),
];

/// Switches that are applied, or do not affect the result.
const KNOWN_SWITCHES: &[&str] = &["use_rslora", "use_dora"];

/// Settings that only describe how the training began or ran.
const HARMLESS_CONFIGS: &[&str] = &["loftq_config", "eva_config", "corda_config", "runtime_config"];

/// Refuses every key that requests more than is applied.
pub(crate) fn check(config: &Config<'_>) -> Result<(), FamilyError> {
    match config.text("peft_type")? {
        Some("LORA") => {}
        Some(_) => return Err(config.unsupported("peft_type", "expected `\"LORA\"`")),
        None => return Err(config.missing("peft_type", "`\"LORA\"`")),
    }
    if !["none", "all", "lora_only"].contains(&config.text("bias")?.unwrap_or("none")) {
        return Err(config.bad("bias", "`\"none\"`, `\"all\"` or `\"lora_only\"`"));
    }
    for (key, advice) in REFUSED {
        if config.get(key).is_some_and(asks_for_something) {
            return Err(config.unsupported(key, advice));
        }
    }
    refuse_changed_base(config)?;
    // A variant that is newer than this release: its tensors may look like plain ones.
    for (key, value) in config.entries() {
        let is_switch = key.starts_with("use_") && !KNOWN_SWITCHES.contains(&key.as_str());
        let is_variant = key.ends_with("_config") && !HARMLESS_CONFIGS.contains(&key.as_str());
        if (is_switch || is_variant) && asks_for_something(value) {
            return Err(config.unsupported(key, "this variant of LoRA is not supported"));
        }
    }
    if config.flag("use_dora")? && config.flag("lora_bias")? {
        return Err(config.unsupported("lora_bias", "PEFT has no bias in DoRA adapters, either"));
    }
    Ok(())
}

// PiSSA and similar methods move a part of the base into the adapter before training, so the pairs alone do
// not fit the base as published.
fn refuse_changed_base(config: &Config<'_>) -> Result<(), FamilyError> {
    match config.get("init_lora_weights") {
        None | Some(Value::Bool(_)) => Ok(()),
        Some(Value::String(kind)) if matches!(kind.as_str(), "gaussian" | "eva" | "orthogonal") => Ok(()),
        Some(_) => Err(config.unsupported(
            "init_lora_weights",
            "save the adapter with PEFT's `path_initial_model_for_weight_conversion`, because it changes the base",
        )),
    }
}

fn asks_for_something(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => false,
        Value::Array(items) => !items.is_empty(),
        Value::Object(object) => !object.is_empty(),
        Value::String(text) => !text.is_empty(),
        _ => true,
    }
}
