//! PEFT adapters: ranks and scales as PEFT computes them, and a message for each kind of mismatch.

mod matching;
mod options;
mod refusals;

use std::collections::BTreeSet;

use expect_test::{Expect, expect};
use mc_family::adapter::AdapterConfig;
use mc_family::adapter::change::{Change, Layout, Lengths, LowRankPair, WeightChange};
use mc_family::adapter::matching::{BaseTensors, match_adapter};
use mc_family::error::FamilyError;
use proptest::prelude::*;
use serde_json::{Value, json};

type Named = (String, Vec<u64>);

/// Returns PEFT 0.21's configuration, reduced to the keys that matter.
pub(super) fn config_json(changes: &Value) -> String {
    let mut config = json!({
        "alora_invocation_tokens": null, "alpha_pattern": {}, "arrow_config": null,
        "base_model_name_or_path": "base", "bias": "none", "fan_in_fan_out": false,
        "init_lora_weights": true, "layer_replication": null, "layers_pattern": null,
        "layers_to_transform": null, "loftq_config": {}, "lora_alpha": 16, "lora_bias": false,
        "lora_dropout": 0.0, "megatron_config": null, "megatron_core": "megatron.core",
        "modules_to_save": null, "peft_type": "LORA", "qalora_group_size": 16, "r": 8, "rank_pattern": {},
        "target_modules": ["q_proj", "down_proj"], "target_parameters": null,
        "trainable_token_indices": null, "use_dora": false, "use_qalora": false, "use_rslora": false
    });
    for (key, value) in changes.as_object().unwrap() {
        config[key] = value.clone();
    }
    config.to_string()
}

pub(super) fn config(changes: &Value) -> AdapterConfig {
    AdapterConfig::from_json(&config_json(changes)).unwrap()
}

/// Returns two layers of width 64 with 96 hidden units, tied.
pub(super) fn base() -> Vec<Named> {
    let mut base = vec![("model.embed_tokens.weight".to_owned(), vec![160, 64])];
    for layer in 0..2 {
        for (name, shape) in [
            ("self_attn.q_proj", vec![64, 64]),
            ("self_attn.k_proj", vec![32, 64]),
            ("mlp.down_proj", vec![64, 96]),
        ] {
            base.push((format!("model.layers.{layer}.{name}.weight"), shape));
        }
    }
    base
}

/// Returns the pairs that PEFT stores for q and down of both layers.
pub(super) fn adapter() -> Vec<Named> {
    let mut adapter = Vec::new();
    for layer in 0..2 {
        for (name, rows, columns) in [("self_attn.q_proj", 64, 64), ("mlp.down_proj", 64, 96)] {
            let module = format!("base_model.model.model.layers.{layer}.{name}");
            adapter.push((format!("{module}.lora_A.weight"), vec![8, columns]));
            adapter.push((format!("{module}.lora_B.weight"), vec![rows, 8]));
        }
    }
    adapter
}

pub(super) fn renamed(from: &str, to: &str) -> Vec<Named> {
    adapter().into_iter().map(|(name, shape)| (name.replace(from, to), shape)).collect()
}

pub(super) fn matched(changes: &Value, adapter: &[Named]) -> Result<Vec<WeightChange>, FamilyError> {
    matched_to(changes, adapter, &base())
}

pub(super) fn matched_to(
    changes: &Value,
    adapter: &[Named],
    base: &[Named],
) -> Result<Vec<WeightChange>, FamilyError> {
    let by_token = ["model.embed_tokens.weight".to_owned(), "lm_head.weight".to_owned()];
    match_adapter(&config(changes), adapter, &BaseTensors { tensors: base, by_token: &by_token })
}

/// Returns the low-rank updates, each with its weight.
pub(super) fn pairs(changes: &Value, adapter: &[Named]) -> Vec<(String, LowRankPair)> {
    let pair = |change: WeightChange| match change.change {
        Change::AddLowRank(pair) => Some((change.weight_name, pair)),
        _ => None,
    };
    matched(changes, adapter).unwrap().into_iter().filter_map(pair).collect()
}

pub(super) fn check_mismatch(changes: &Value, adapter: &[Named], expected: Expect) {
    expected.assert_eq(&format!("{}\n", matched(changes, adapter).unwrap_err()));
}

pub(super) fn check_refused(changes: &Value, expected: Expect) {
    expected.assert_eq(&format!("{}\n", AdapterConfig::from_json(&config_json(changes)).unwrap_err()));
}

/// Returns `adapter` with more tensors of the model.
pub(super) fn with(more: &[(&str, &[u64])]) -> Vec<Named> {
    let named = |(name, shape): &(&str, &[u64])| (format!("base_model.model.model.{name}"), shape.to_vec());
    adapter().into_iter().chain(more.iter().map(named)).collect()
}

/// Returns the changes to a weight of the model.
pub(super) fn changes_of(weight: &str, changes: &[WeightChange]) -> Vec<Change> {
    let weight = format!("model.{weight}");
    let is_its = |change: &&WeightChange| change.weight_name == weight;
    changes.iter().filter(is_its).map(|change| change.change.clone()).collect()
}
