//! What an `adapter_config.json` may not ask for yet.
//!
//! It is refused by its key, because an adapter that is applied in part gives a model that nobody trained.

use serde_json::Value;

use crate::config::Config;
use crate::error::FamilyError;

/// Keys that must be absent, `null`, `false` or empty, with what to do otherwise.
const REFUSED: &[(&str, &str)] = &[
    ("use_dora", "merge this DoRA adapter with PEFT (`merge_and_unload`) and use the result as the base"),
    (
        "modules_to_save",
        "merge this adapter with PEFT (`merge_and_unload`), or train it without whole modules",
    ),
    (
        "trainable_token_indices",
        "merge this adapter with PEFT (`merge_and_unload`), or train it without tokens",
    ),
    ("lora_bias", "train the adapter without biases"),
    ("fan_in_fan_out", "it is meant for models with transposed weights, which no known family has"),
    (
        "layer_replication",
        "merge this adapter with PEFT (`merge_and_unload`), or train it without copied layers",
    ),
    ("target_parameters", "train the adapter on modules (`target_modules`)"),
    ("megatron_config", "save the adapter from one process, without Megatron"),
    ("alora_invocation_tokens", "train the adapter without invocation tokens"),
    ("arrow_config", "give one adapter rather than a routed set"),
];

/// Refuses every key that asks for more than plain or rank-stabilised LoRA.
pub(crate) fn check(config: &Config<'_>) -> Result<(), FamilyError> {
    match config.text("peft_type")? {
        Some("LORA") => {}
        Some(_) => return Err(config.unsupported("peft_type", "expected `\"LORA\"`")),
        None => return Err(config.missing("peft_type", "`\"LORA\"`")),
    }
    if config.text("bias")?.unwrap_or("none") != "none" {
        return Err(config.unsupported("bias", "train the adapter with `\"none\"`"));
    }
    for (key, advice) in REFUSED {
        if config.get(key).is_some_and(asks_for_something) {
            return Err(config.unsupported(key, advice));
        }
    }
    refuse_changed_base(config)?;
    // A variant that came after this release: its tensors may look like plain ones.
    for (key, value) in config.entries() {
        if key.starts_with("use_") && key != "use_rslora" && value.as_bool() == Some(true) {
            return Err(config.unsupported(key, "only plain and rank-stabilised LoRA can be applied"));
        }
    }
    Ok(())
}

// PiSSA and its relatives move a part of the base into the adapter before training, so that the pairs alone do not
// fit the base as published.
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
        _ => true,
    }
}
