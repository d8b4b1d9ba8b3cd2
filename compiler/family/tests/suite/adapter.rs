//! PEFT adapters: ranks and scales as PEFT computes them, and a message for each way not to fit.

use std::collections::BTreeSet;

use expect_test::{Expect, expect};
use mc_family::adapter::{AdapterConfig, LowRankPair, match_adapter};
use mc_family::error::FamilyError;
use mc_family::llama::Llama;
use mc_tensor::model_tensor::ModelTensor;
use proptest::prelude::*;
use serde_json::{Value, json};

type Named = (String, Vec<u64>);

/// What PEFT 0.21 writes, shortened to the keys that matter.
fn config_json(changes: &Value) -> String {
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

fn config(changes: &Value) -> AdapterConfig {
    AdapterConfig::from_json(&config_json(changes)).unwrap()
}

/// Two layers of width 64 with 96 hidden units, tied.
fn base() -> Vec<Named> {
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

/// The pairs that PEFT stores for q and down of both layers.
fn adapter() -> Vec<Named> {
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

fn renamed(from: &str, to: &str) -> Vec<Named> {
    adapter().into_iter().map(|(name, shape)| (name.replace(from, to), shape)).collect()
}

fn matched(changes: &Value, adapter: &[Named]) -> Result<Vec<LowRankPair>, FamilyError> {
    match_adapter(&Llama, &config(changes), adapter, &base())
}

fn check_mismatch(changes: &Value, adapter: &[Named], expected: Expect) {
    expected.assert_eq(&format!("{}\n", matched(changes, adapter).unwrap_err()));
}

fn check_refused(changes: &Value, expected: Expect) {
    expected.assert_eq(&format!("{}\n", AdapterConfig::from_json(&config_json(changes)).unwrap_err()));
}

#[test]
fn every_pair_finds_its_weight() {
    let pairs = matched(&json!({}), &adapter()).unwrap();
    let lines: Vec<String> = pairs
        .iter()
        .map(|pair| {
            format!("{}: {} += {} * {} * {}", pair.tensor, pair.weight_name, pair.scale, pair.up, pair.down)
        })
        .collect();
    expect![[r#"
        block 0 attn-q: model.layers.0.self_attn.q_proj.weight += 2 * base_model.model.model.layers.0.self_attn.q_proj.lora_B.weight * base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight
        block 1 attn-q: model.layers.1.self_attn.q_proj.weight += 2 * base_model.model.model.layers.1.self_attn.q_proj.lora_B.weight * base_model.model.model.layers.1.self_attn.q_proj.lora_A.weight
        block 0 ffn-down: model.layers.0.mlp.down_proj.weight += 2 * base_model.model.model.layers.0.mlp.down_proj.lora_B.weight * base_model.model.model.layers.0.mlp.down_proj.lora_A.weight
        block 1 ffn-down: model.layers.1.mlp.down_proj.weight += 2 * base_model.model.model.layers.1.mlp.down_proj.lora_B.weight * base_model.model.model.layers.1.mlp.down_proj.lora_A.weight"#]].assert_eq(&lines.join("\n"));
}

#[test]
fn the_adapters_name_may_stand_before_weight() {
    assert_eq!(matched(&json!({}), &renamed(".weight", ".default.weight")).unwrap().len(), 4);
}

#[test]
fn scales_are_those_of_peft() {
    let module = "model.layers.1.self_attn.q_proj";
    assert_eq!(config(&json!({})).scale_of(module), 2.0);
    assert_eq!(config(&json!({"r": 16, "use_rslora": true})).scale_of(module), 4.0);
    assert_eq!(config(&json!({"lora_alpha": 12.5})).scale_of(module), 12.5 / 8.0);
}

#[test]
fn patterns_match_ends_and_expressions_and_the_first_wins() {
    let config = config(&json!({
        "rank_pattern": {"down_proj": 4, "model.layers.1.self_attn.q_proj": 16, "^model\\.layers\\.0\\..*_proj": 2,
                         "k_proj": 32},
        "alpha_pattern": {"gate_proj": 4, "layers.0.mlp.up_proj": 32, "(o|v)_proj": 1}
    }));
    for (module, rank, scale) in [
        ("model.layers.0.mlp.down_proj", 4, 4.0),
        ("model.layers.1.self_attn.q_proj", 16, 1.0),
        ("model.layers.11.self_attn.q_proj", 8, 2.0),
        ("model.layers.0.self_attn.k_proj", 2, 8.0),
        ("model.layers.1.self_attn.k_proj", 32, 0.5),
        ("model.layers.1.mlp.gate_proj", 8, 0.5),
        ("model.layers.0.mlp.up_proj", 2, 16.0),
        ("model.layers.1.self_attn.v_proj", 8, 0.125),
        // An end counts only after a dot.
        ("model.layers.1.mlp.my_down_proj", 8, 2.0),
    ] {
        assert_eq!((config.rank_of(module), config.scale_of(module)), (rank, scale), "{module}");
    }
    assert_eq!(config.rank_pattern.len(), 4);
}

#[test]
fn ranks_by_pattern_reach_the_pairs() {
    let adapter: Vec<Named> = adapter()
        .into_iter()
        .map(|(name, shape)| {
            let narrow = |size: u64| if size == 8 && name.contains("down_proj") { 4 } else { size };
            let shape = shape.into_iter().map(narrow).collect();
            (name, shape)
        })
        .collect();
    let pairs = matched(&json!({"rank_pattern": {"down_proj": 4}}), &adapter).unwrap();
    let down = pairs.iter().find(|pair| pair.tensor == ModelTensor::FfnDown { block: 1 }).unwrap();
    assert_eq!((down.rank, down.scale), (4, 4.0));
}

#[test]
fn an_adapter_of_another_class_is_told_by_its_prefix() {
    check_mismatch(
        &json!({}),
        &renamed("model.model.layers", "model.model.language_model.layers"),
        expect![[r#"
            0 of 8 adapter tensors match the base; the base has `model.layers.0.self_attn.q_proj.weight`, the adapter `base_model.model.model.language_model.layers.0.self_attn.q_proj.lora_A.weight`. The adapter's modules begin with `model.language_model.`, the base's with `model.`; train or save it on the same model class as the base
        "#]],
    );
    check_mismatch(
        &json!({}),
        &renamed("model.model.layers", "model.language_model.model.layers"),
        expect![[r#"
            0 of 8 adapter tensors match the base; the base has `model.layers.0.self_attn.q_proj.weight`, the adapter `base_model.model.language_model.model.layers.0.self_attn.q_proj.lora_A.weight`. The adapter's modules begin with `language_model.`, the base's do not; train or save it on the same model class as the base
        "#]],
    );
    check_mismatch(
        &json!({}),
        &renamed("base_model.model.", ""),
        expect![[r#"
        0 of 8 adapter tensors match the base; the base has `model.layers.0.self_attn.q_proj.weight`, the adapter `model.layers.0.self_attn.q_proj.lora_A.weight`. Expected names like `base_model.model.<module>.lora_A.weight`, as PEFT saves them
    "#]],
    );
    check_mismatch(
        &json!({}),
        &renamed("model.model.layers", "model.transformer.h"),
        expect![[r#"
        0 of 8 adapter tensors match the base; the base has `model.layers.0.self_attn.q_proj.weight`, the adapter `base_model.model.transformer.h.0.self_attn.q_proj.lora_A.weight`. The adapter's modules begin with `transformer.h.`, the base's with `model.layers.`; train or save it on the same model class as the base
    "#]],
    );
}

#[test]
fn an_adapter_of_a_deeper_base_is_told_by_what_is_left_over() {
    check_mismatch(
        &json!({}),
        &renamed("layers.1", "layers.7"),
        expect![[r#"
        4 of 8 adapter tensors match the base; it has no place for `base_model.model.model.layers.7.self_attn.q_proj.lora_A.weight`, `base_model.model.model.layers.7.self_attn.q_proj.lora_B.weight`, `base_model.model.model.layers.7.mlp.down_proj.lora_A.weight` and 1 more. Give the base that the adapter was trained on, which was `base`
    "#]],
    );
}

#[test]
fn what_is_not_a_pair_of_a_projection_is_never_dropped() {
    let with = |name: &str| {
        let mut adapter = adapter();
        adapter.push((name.to_owned(), vec![64]));
        adapter
    };
    check_mismatch(
        &json!({}),
        &with("base_model.model.model.layers.0.mlp.down_proj.lora_magnitude_vector"),
        expect![[r#"
            8 of 9 adapter tensors match the base; it has no place for `base_model.model.model.layers.0.mlp.down_proj.lora_magnitude_vector`. DoRA is not supported yet; merge the adapter with PEFT (`merge_and_unload`)
        "#]],
    );
    check_mismatch(
        &json!({}),
        &with("base_model.model.model.embed_tokens.lora_embedding_A"),
        expect![[r#"
        8 of 9 adapter tensors match the base; it has no place for `base_model.model.model.embed_tokens.lora_embedding_A`. Adapters of the token embedding are not supported yet; merge the adapter with PEFT (`merge_and_unload`)
    "#]],
    );
    check_mismatch(
        &json!({}),
        &with("base_model.model.lm_head.lora_A.weight"),
        expect![[r#"
        8 of 9 adapter tensors match the base; it has no place for `base_model.model.lm_head.lora_A.weight`. The base has no head of its own (`tie_word_embeddings`); merge the adapter with PEFT (`merge_and_unload`)
    "#]],
    );
    check_mismatch(
        &json!({}),
        &with("base_model.model.lm_head.weight"),
        expect![[r#"
        8 of 9 adapter tensors match the base; it has no place for `base_model.model.lm_head.weight`. Expected names like `base_model.model.<module>.lora_A.weight`, as PEFT saves them
    "#]],
    );
    check_mismatch(
        &json!({}),
        &with("base_model.model.model.embed_tokens.lora_A.weight"),
        expect![[r#"
        8 of 9 adapter tensors match the base; it has no place for `base_model.model.model.embed_tokens.lora_A.weight`. Adapters of the token embedding are not supported yet; merge the adapter with PEFT (`merge_and_unload`)
    "#]],
    );
}

#[test]
fn half_a_pair_is_told() {
    check_mismatch(
        &json!({}),
        &adapter()[..3],
        expect![[r#"
        The adapter has `base_model.model.model.layers.0.mlp.down_proj.lora_A.weight`, but no `lora_B` for the same weight. The file is incomplete; save or download the adapter again
    "#]],
    );
    check_mismatch(
        &json!({}),
        &adapter()[1..],
        expect![[r#"
        The adapter has `base_model.model.model.layers.0.self_attn.q_proj.lora_B.weight`, but no `lora_A` for the same weight. The file is incomplete; save or download the adapter again
    "#]],
    );
    check_mismatch(
        &json!({}),
        &[],
        expect![[r#"
        The adapter holds no tensors. Save or download the adapter again
    "#]],
    );
}

#[test]
fn two_adapters_in_one_file_are_told() {
    let mut adapter = adapter();
    adapter.extend(renamed(".weight", ".second.weight"));
    check_mismatch(
        &json!({}),
        &adapter,
        expect![[r#"
        The adapter has `base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight` and `base_model.model.model.layers.0.self_attn.q_proj.lora_A.second.weight` for the same weight. Save one adapter at a time
    "#]],
    );
}

#[test]
fn ranks_and_shapes_that_do_not_fit_are_told() {
    check_mismatch(
        &json!({"r": 16}),
        &adapter(),
        expect![[r#"
        Adapter tensor `base_model.model.model.layers.0.mlp.down_proj.lora_A.weight` has rank 8; `adapter_config.json` says 16. The configuration belongs to another adapter, or `r` or `rank_pattern` was edited
    "#]],
    );
    let mut wide = adapter();
    wide[0].1 = vec![8, 128];
    check_mismatch(
        &json!({}),
        &wide,
        expect![[r#"
        Adapter tensor `base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight` has shape [8, 128]; base tensor `model.layers.0.self_attn.q_proj.weight` of [64, 64] needs [8, 64]. The adapter was trained on a base of another size
    "#]],
    );
    let mut tall = adapter();
    tall[1].1 = vec![128, 8];
    check_mismatch(
        &json!({}),
        &tall,
        expect![[r#"
        Adapter tensor `base_model.model.model.layers.0.self_attn.q_proj.lora_B.weight` has shape [128, 8]; base tensor `model.layers.0.self_attn.q_proj.weight` of [64, 64] needs [64, 8]. The adapter was trained on a base of another size
    "#]],
    );
    let mut convolution = adapter();
    convolution[0].1 = vec![8, 64, 1];
    check_mismatch(
        &json!({}),
        &convolution,
        expect![[r#"
        Adapter tensor `base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight` has shape [8, 64, 1]; expected a matrix. Adapters of convolutions are not supported yet
    "#]],
    );
}

#[test]
fn layers_outside_the_configuration_are_told() {
    assert_eq!(config(&json!({"layers_to_transform": 1})).layers, Some(BTreeSet::from([1])));
    check_mismatch(
        &json!({"layers_to_transform": [1]}),
        &adapter(),
        expect![[r#"
        The adapter has `base_model.model.model.layers.0.mlp.down_proj.lora_A.weight`, but `layers_to_transform` in `adapter_config.json` does not list layer 0. The configuration belongs to another adapter; take both files from the same folder
    "#]],
    );
    let second: Vec<Named> = adapter().into_iter().filter(|(name, _)| name.contains("layers.1")).collect();
    assert_eq!(matched(&json!({"layers_to_transform": [1]}), &second).unwrap().len(), 2);
}

#[test]
fn what_is_not_supported_is_named_by_its_key() {
    check_refused(
        &json!({"peft_type": "IA3"}),
        expect![[r#"
        `peft_type` in `adapter_config.json` is `"IA3"`, which is not supported yet; expected `"LORA"`
    "#]],
    );
    check_refused(
        &json!({"use_dora": true}),
        expect![[r#"
        `use_dora` in `adapter_config.json` is `true`, which is not supported yet; merge this DoRA adapter with PEFT (`merge_and_unload`) and use the result as the base
    "#]],
    );
    check_refused(
        &json!({"modules_to_save": ["lm_head"]}),
        expect![[r#"
        `modules_to_save` in `adapter_config.json` is `["lm_head"]`, which is not supported yet; merge this adapter with PEFT (`merge_and_unload`), or train it without whole modules
    "#]],
    );
    check_refused(
        &json!({"bias": "lora_only"}),
        expect![[r#"
        `bias` in `adapter_config.json` is `"lora_only"`, which is not supported yet; train the adapter with `"none"`
    "#]],
    );
    check_refused(
        &json!({"fan_in_fan_out": true}),
        expect![[r#"
        `fan_in_fan_out` in `adapter_config.json` is `true`, which is not supported yet; it is meant for models with transposed weights, which no known family has
    "#]],
    );
    check_refused(
        &json!({"trainable_token_indices": [1, 2]}),
        expect![[r#"
        `trainable_token_indices` in `adapter_config.json` is `[1,2]`, which is not supported yet; merge this adapter with PEFT (`merge_and_unload`), or train it without tokens
    "#]],
    );
    check_refused(
        &json!({"lora_bias": true}),
        expect![[r#"
        `lora_bias` in `adapter_config.json` is `true`, which is not supported yet; train the adapter without biases
    "#]],
    );
    check_refused(
        &json!({"init_lora_weights": "pissa"}),
        expect![[r#"
        `init_lora_weights` in `adapter_config.json` is `"pissa"`, which is not supported yet; save the adapter with PEFT's `path_initial_model_for_weight_conversion`, because it changes the base
    "#]],
    );
    check_refused(
        &json!({"use_qalora": true}),
        expect![[r#"
        `use_qalora` in `adapter_config.json` is `true`, which is not supported yet; only plain and rank-stabilised LoRA can be applied
    "#]],
    );
}

#[test]
fn wrong_values_are_named_by_their_key() {
    check_refused(
        &json!({"r": null}),
        expect![[r#"
        `adapter_config.json` has no `r`; expected a whole number above 0
    "#]],
    );
    check_refused(
        &json!({"r": 0}),
        expect![[r#"
        `r` in `adapter_config.json` is `0`; expected a whole number above 0
    "#]],
    );
    check_refused(
        &json!({"lora_alpha": "16"}),
        expect![[r#"
        `lora_alpha` in `adapter_config.json` is `"16"`; expected a number above 0
    "#]],
    );
    check_refused(
        &json!({"peft_type": null}),
        expect![[r#"
        `adapter_config.json` has no `peft_type`; expected `"LORA"`
    "#]],
    );
    check_refused(
        &json!({"rank_pattern": {"q_proj": -1}}),
        expect![[r#"
        `rank_pattern.q_proj` in `adapter_config.json` is `-1`; expected a whole number above 0
    "#]],
    );
    check_refused(
        &json!({"alpha_pattern": {"(q_proj": 1}}),
        expect![[r#"
        `alpha_pattern.(q_proj` in `adapter_config.json` is `1`, which is not supported yet; expected a module's name or a regular expression
    "#]],
    );
    check_refused(
        &json!({"layers_to_transform": ["one"]}),
        expect![[r#"
        `layers_to_transform` in `adapter_config.json` is `["one"]`; expected a layer's number or a list of them
    "#]],
    );
    let error = AdapterConfig::from_json("{").unwrap_err();
    expect![[r#"
        `adapter_config.json` is not a JSON object: EOF while parsing an object at line 1 column 1
    "#]]
    .assert_eq(&format!("{error}\n"));
}

#[test]
fn other_ways_to_begin_are_plain_pairs() {
    for kind in [json!(true), json!(false), json!(null), json!("gaussian"), json!("eva"), json!("orthogonal")]
    {
        config(&json!({"init_lora_weights": kind}));
    }
}

proptest! {
    #[test]
    fn foreign_names_and_shapes_never_panic(
        name in "(base_model\\.model\\.)?(model\\.layers\\.0\\.)?[a-zA-Z_.]{0,30}(\\.lora_[AB])?(\\.weight)?",
        shape in proptest::collection::vec(0_u64..100, 0..4),
    ) {
        let outcome = matched(&json!({}), &[(name, shape)]);
        prop_assert!(outcome.is_err());
    }
}
