//! PEFT adapters: ranks and scales as PEFT computes them, and a message for each way not to fit.

use std::collections::BTreeSet;

use expect_test::{Expect, expect};
use mc_family::adapter::AdapterConfig;
use mc_family::adapter_change::{
    BaseTensors, Change, Layout, Lengths, LowRankPair, WeightChange, match_adapter,
};
use mc_family::error::FamilyError;
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

fn matched(changes: &Value, adapter: &[Named]) -> Result<Vec<WeightChange>, FamilyError> {
    matched_to(changes, adapter, &base())
}

fn matched_to(changes: &Value, adapter: &[Named], base: &[Named]) -> Result<Vec<WeightChange>, FamilyError> {
    let by_token = ["model.embed_tokens.weight".to_owned(), "lm_head.weight".to_owned()];
    match_adapter(&config(changes), adapter, &BaseTensors { tensors: base, by_token: &by_token })
}

/// The low-rank updates, each with its weight.
fn pairs(changes: &Value, adapter: &[Named]) -> Vec<(String, LowRankPair)> {
    let pair = |change: WeightChange| match change.change {
        Change::AddLowRank(pair) => Some((change.weight_name, pair)),
        _ => None,
    };
    matched(changes, adapter).unwrap().into_iter().filter_map(pair).collect()
}

fn check_mismatch(changes: &Value, adapter: &[Named], expected: Expect) {
    expected.assert_eq(&format!("{}\n", matched(changes, adapter).unwrap_err()));
}

fn check_refused(changes: &Value, expected: Expect) {
    expected.assert_eq(&format!("{}\n", AdapterConfig::from_json(&config_json(changes)).unwrap_err()));
}

#[test]
fn every_pair_finds_its_weight() {
    let lines: Vec<String> = pairs(&json!({}), &adapter())
        .iter()
        .map(|(weight, pair)| format!("{weight} += {} * {} * {}", pair.scale, pair.up.name, pair.down.name))
        .collect();
    expect![[r#"
        model.layers.0.mlp.down_proj.weight += 2 * base_model.model.model.layers.0.mlp.down_proj.lora_B.weight * base_model.model.model.layers.0.mlp.down_proj.lora_A.weight
        model.layers.0.self_attn.q_proj.weight += 2 * base_model.model.model.layers.0.self_attn.q_proj.lora_B.weight * base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight
        model.layers.1.mlp.down_proj.weight += 2 * base_model.model.model.layers.1.mlp.down_proj.lora_B.weight * base_model.model.model.layers.1.mlp.down_proj.lora_A.weight
        model.layers.1.self_attn.q_proj.weight += 2 * base_model.model.model.layers.1.self_attn.q_proj.lora_B.weight * base_model.model.model.layers.1.self_attn.q_proj.lora_A.weight"#]].assert_eq(&lines.join("\n"));
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
    let pairs = pairs(&json!({"rank_pattern": {"down_proj": 4}}), &adapter);
    let (_, down) = pairs.iter().find(|(weight, _)| weight == "model.layers.1.mlp.down_proj.weight").unwrap();
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
fn what_has_no_place_is_never_dropped() {
    for name in [
        "model.layers.0.mlp.down_proj.lora_magnitude_vector.a.b",
        "model.layers.0.self_attn.rotary_emb.inv_freq",
        "lm_head.lora_A.weight",
        "score.weight",
    ] {
        let mut adapter = adapter();
        adapter.push((format!("base_model.model.{name}"), vec![64]));
        let error = matched(&json!({}), &adapter).unwrap_err().to_string();
        assert!(error.starts_with("8 of 9 adapter tensors match the base; it has no place for"), "{error}");
    }
}

/// `adapter` with more tensors of the model.
fn with(more: &[(&str, &[u64])]) -> Vec<Named> {
    let named = |(name, shape): &(&str, &[u64])| (format!("base_model.model.model.{name}"), shape.to_vec());
    adapter().into_iter().chain(more.iter().map(named)).collect()
}

/// What is done to a weight of the model.
fn changes_of(weight: &str, changes: &[WeightChange]) -> Vec<Change> {
    let weight = format!("model.{weight}");
    let is_its = |change: &&WeightChange| change.weight_name == weight;
    changes.iter().filter(is_its).map(|change| change.change.clone()).collect()
}

#[test]
fn dora_has_a_length_for_each_output() {
    let lengths = |layer: usize| {
        let module = format!("base_model.model.model.layers.{layer}");
        ["self_attn.q_proj", "mlp.down_proj"]
            .map(|name| (format!("{module}.{name}.lora_magnitude_vector"), vec![64]))
    };
    let adapter: Vec<Named> = adapter().into_iter().chain(lengths(0)).chain(lengths(1)).collect();
    let dora = json!({"use_dora": true});
    for (_, pair) in pairs(&dora, &adapter) {
        assert!(matches!(pair.lengths, Some(Lengths::Rows(name)) if name.contains(&pair.module)));
    }
    check_mismatch(
        &dora,
        &adapter[..11],
        expect![[r#"
        The adapter has `base_model.model.model.layers.1.mlp.down_proj.lora_B.weight`, but no `lora_magnitude_vector` for the same weight. The file is incomplete, or `use_dora` was edited; save or download the adapter again
    "#]],
    );
    check_mismatch(
        &json!({}),
        &adapter,
        expect![[r#"
        The adapter has `base_model.model.model.layers.0.mlp.down_proj.lora_magnitude_vector`, but `use_dora` in `adapter_config.json` is not `true`. The configuration belongs to another adapter; take both files from the same folder
    "#]],
    );
    let mut short = adapter;
    short[8].1 = vec![32];
    check_mismatch(
        &dora,
        &short,
        expect![[r#"
        Adapter tensor `base_model.model.model.layers.0.self_attn.q_proj.lora_magnitude_vector` has shape [32]; base tensor `model.layers.0.self_attn.q_proj.weight` needs [64]. The adapter was trained on a base of another size
    "#]],
    );
}

#[test]
fn embeddings_change_with_their_factors_exchanged() {
    let parts: &[(&str, &[u64])] =
        &[("embed_tokens.lora_embedding_A", &[8, 160]), ("embed_tokens.lora_embedding_B", &[64, 8])];
    let changes = matched(&json!({}), &with(parts)).unwrap();
    let [Change::AddLowRank(pair)] = &changes_of("embed_tokens.weight", &changes)[..] else {
        panic!("{changes:?}")
    };
    assert!(pair.up.is_turned && pair.up.name.ends_with("lora_embedding_A"));
    assert!(pair.down.is_turned && pair.down.name.ends_with("lora_embedding_B"));
    check_mismatch(
        &json!({}),
        &with(&parts[..1]),
        expect![[r#"
        The adapter has `base_model.model.model.embed_tokens.lora_embedding_A`, but no `lora_embedding_B` for the same weight. The file is incomplete; save or download the adapter again
    "#]],
    );
    check_mismatch(
        &json!({}),
        &with(&[("embed_tokens.lora_embedding_A", &[8, 161]), parts[1]]),
        expect![[r#"
            Adapter tensor `base_model.model.model.embed_tokens.lora_embedding_A` has shape [8, 161]; base tensor `model.embed_tokens.weight` of [160, 64] needs [8, 160]. The adapter was trained on a base of another size
        "#]],
    );
}

#[test]
fn a_resized_embedding_is_replaced_and_then_changed() {
    let parts: &[(&str, &[u64])] = &[
        ("embed_tokens.base_layer.weight", &[163, 64]),
        ("embed_tokens.lora_embedding_A", &[8, 163]),
        ("embed_tokens.lora_embedding_B", &[64, 8]),
    ];
    let changes = matched(&json!({}), &with(parts)).unwrap();
    let changes = changes_of("embed_tokens.weight", &changes);
    assert!(matches!(&changes[..], [Change::Replace { .. }, Change::AddLowRank(_)]), "{changes:?}");
    check_mismatch(
        &json!({}),
        &with(&[("embed_tokens.weight", &[160, 65])]),
        expect![[r#"
        Adapter tensor `base_model.model.model.embed_tokens.weight` has shape [160, 65]; base tensor `model.embed_tokens.weight` has [160, 64]. The adapter was trained on a base of another size
    "#]],
    );
    check_mismatch(
        &json!({}),
        &with(&[("layers.0.self_attn.k_proj.weight", &[33, 64])]),
        expect![[r#"
        Adapter tensor `base_model.model.model.layers.0.self_attn.k_proj.weight` has shape [33, 64]; base tensor `model.layers.0.self_attn.k_proj.weight` has [32, 64]. The adapter was trained on a base of another size
    "#]],
    );
}

#[test]
fn whole_modules_are_replaced_and_must_be_there() {
    let saved = json!({"modules_to_save": ["embed_tokens", "classifier"]});
    for name in ["embed_tokens.weight", "embed_tokens.modules_to_save.default.weight"] {
        let changes = matched(&saved, &with(&[(name, &[160, 64])])).unwrap();
        let changes = changes_of("embed_tokens.weight", &changes);
        assert_eq!(changes, [Change::Replace { with: format!("base_model.model.model.{name}") }]);
    }
    check_mismatch(
        &saved,
        &adapter(),
        expect![[r#"
        `modules_to_save` names `embed_tokens`, but the adapter holds no tensor of it. The file is incomplete; save or download the adapter again
    "#]],
    );
}

#[test]
fn biases_are_added_or_replaced() {
    let mut base = base();
    base.push(("model.layers.0.self_attn.q_proj.bias".to_owned(), vec![64]));
    let adapter = with(&[
        ("layers.0.self_attn.q_proj.base_layer.bias", &[64]),
        ("layers.0.self_attn.q_proj.lora_B.bias", &[64]),
    ]);
    let options = json!({"bias": "all", "lora_bias": true});
    let changes = matched_to(&options, &adapter, &base).unwrap();
    let changes = changes_of("layers.0.self_attn.q_proj.bias", &changes);
    let [Change::Replace { .. }, Change::AddVector { scale, .. }] = changes[..] else {
        panic!("{changes:?}")
    };
    assert_eq!(scale, 2.0);
    let lone = with(&[("layers.0.self_attn.q_proj.lora_B.bias", &[64])]);
    check_mismatch(
        &options,
        &lone,
        expect![[r#"
        The adapter has `base_model.model.model.layers.0.self_attn.q_proj.lora_B.bias`, but the base has no `model.layers.0.self_attn.q_proj.bias` to add it to. PEFT cannot merge it, either; train the adapter without `lora_bias`
    "#]],
    );
    let long = with(&[("layers.0.self_attn.q_proj.lora_B.bias", &[65])]);
    let error = matched_to(&options, &long, &base).unwrap_err().to_string();
    assert!(
        error.contains("has shape [65]; base tensor `model.layers.0.self_attn.q_proj.bias` has [64]"),
        "{error}"
    );
}

#[test]
fn trained_tokens_replace_their_rows() {
    let delta: (&str, &[u64]) = ("embed_tokens.token_adapter.trainable_tokens_delta", &[2, 64]);
    for tokens in [json!([7, 3]), json!({"embed_tokens": [7, 3]}), json!({"model.embed_tokens": [7, 3]})] {
        let changes = matched(&json!({"trainable_token_indices": tokens}), &with(&[delta])).unwrap();
        let changes = changes_of("embed_tokens.weight", &changes);
        assert!(matches!(&changes[..], [Change::ReplaceRows { rows, .. }] if *rows == [7, 3]), "{changes:?}");
    }
    check_mismatch(
        &json!({}),
        &with(&[delta]),
        expect![[r#"
        The adapter has `base_model.model.model.embed_tokens.token_adapter.trainable_tokens_delta`, but `trainable_token_indices` names no tokens of `model.embed_tokens`. The configuration belongs to another adapter; take both files from the same folder
    "#]],
    );
    check_mismatch(
        &json!({"trainable_token_indices": [1]}),
        &with(&[delta]),
        expect![[r#"
        Adapter tensor `base_model.model.model.embed_tokens.token_adapter.trainable_tokens_delta` has shape [2, 64]; `trainable_token_indices` and the base need [1, 64]. The adapter was trained on a base of another size, or the configuration was edited
    "#]],
    );
    check_mismatch(
        &json!({"trainable_token_indices": [1, 160]}),
        &with(&[delta]),
        expect![[r#"
        `trainable_token_indices` names token 160; `model.embed_tokens` has 160 rows. The adapter was trained on a base with more tokens
    "#]],
    );
    check_refused(
        &json!({"trainable_token_indices": [1, 1]}),
        expect![[r#"
        `trainable_token_indices` in `adapter_config.json` is `[1,1]`; expected a list of different token ids, or one for each module
    "#]],
    );
}

#[test]
fn a_transposed_weight_is_told_by_its_shape_alone() {
    let swapped: Vec<Named> = base()
        .into_iter()
        .map(|(name, mut shape)| {
            shape.reverse();
            (name, shape)
        })
        .collect();
    let changes = matched_to(&json!({"fan_in_fan_out": true}), &adapter(), &swapped).unwrap();
    for change in &changes {
        let Change::AddLowRank(pair) = &change.change else { panic!("{change:?}") };
        // A square weight is as PEFT takes linear layers.
        assert_eq!(pair.up.is_turned, change.weight_name.contains("down_proj"));
    }
    assert!(matched_to(&json!({}), &adapter(), &swapped).is_err());
    let plain = matched(&json!({"fan_in_fan_out": true}), &adapter()).unwrap();
    assert_eq!(plain, matched(&json!({}), &adapter()).unwrap());
}

#[test]
fn experts_of_their_own_are_modules_like_others() {
    let module = "model.layers.0.mlp.experts.3.gate_proj";
    let base = [(format!("{module}.weight"), vec![96, 64])];
    let factor =
        |end: &str, shape: [u64; 2]| (format!("base_model.model.{module}.{end}.weight"), shape.to_vec());
    let adapter = [factor("lora_A", [8, 64]), factor("lora_B", [96, 8])];
    let changes = matched_to(&json!({"layers_to_transform": [0]}), &adapter, &base).unwrap();
    assert_eq!(changes[0].weight_name, base[0].0);
    let patterns = json!({"layers_to_transform": [3], "layers_pattern": "experts"});
    assert!(matched_to(&patterns, &adapter, &base).is_ok());
    assert!(matched_to(&json!({"layers_to_transform": [3]}), &adapter, &base).is_err());
}

#[test]
fn stacked_experts_are_told_by_their_shapes() {
    let experts = "model.layers.0.mlp.experts";
    let base = [
        (format!("{experts}.gate_up_proj"), vec![4, 64, 192]),
        (format!("{experts}.down_proj"), vec![4, 64, 96]),
    ];
    let factor =
        |end: &str, shape: [u64; 2]| (format!("base_model.model.{experts}.{end}.weight"), shape.to_vec());
    let adapter = [
        factor("base_layer.lora_A", [32, 64]),
        factor("base_layer.lora_B", [192, 32]),
        factor("lora_A", [32, 96]),
        factor("lora_B", [64, 32]),
    ];
    let targets = json!({"target_parameters": ["experts.gate_up_proj", "experts.down_proj"]});
    let changes = matched_to(&targets, &adapter, &base).unwrap();
    let layouts: Vec<_> = changes
        .iter()
        .map(|change| match &change.change {
            Change::AddLowRank(pair) => (change.weight_name.rsplit_once('.').unwrap().1, pair.layout),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(
        layouts,
        [
            ("down_proj", Layout::Stacked { is_input_first: false }),
            ("gate_up_proj", Layout::Stacked { is_input_first: true })
        ]
    );
    assert!(matched_to(&json!({}), &adapter, &base).is_err());
    let mismatched =
        |base: &[Named], adapter: &[Named]| format!("{}\n", matched_to(&targets, adapter, base).unwrap_err());
    let square = [(format!("{experts}.gate_up_proj"), vec![4, 64, 64])];
    let for_square = [factor("lora_A", [32, 64]), factor("lora_B", [64, 32])];
    expect![[r#"
        Base tensor `model.layers.0.mlp.experts.gate_up_proj` has shape [4, 64, 64], and its inputs cannot be told from its outputs. Merge the adapter with PEFT (`merge_and_unload`) and use the result as the base
    "#]].assert_eq(&mismatched(&square, &for_square));
    let of_few = [factor("lora_A", [24, 96]), factor("lora_B", [64, 24])];
    expect![[r#"
        Adapter tensor `base_model.model.model.layers.0.mlp.experts.lora_A.weight` has 24 ranks; `adapter_config.json` says 8 for each of 4 experts. The configuration belongs to another adapter, or `r` or `rank_pattern` was edited
    "#]].assert_eq(&mismatched(&base[1..], &of_few));
    let twins = [
        (format!("{experts}.down_proj"), vec![4, 64, 96]),
        (format!("{experts}.gate_up_proj"), vec![4, 96, 64]),
    ];
    expect![[r#"
        Adapter tensor `base_model.model.model.layers.0.mlp.experts.lora_A.weight` fits 2 stacked parameters of its module. Nobody can tell which was meant; train the adapter on one parameter at a time
    "#]].assert_eq(&mismatched(&twins, &adapter[2..]));
}

#[test]
fn ranks_beyond_everything_are_told() {
    let error = matched(&json!({"r": u32::MAX}), &adapter()).unwrap_err().to_string();
    assert!(error.contains("`adapter_config.json` says 4294967295"), "{error}");
    assert!(AdapterConfig::from_json(&config_json(&json!({"r": u64::MAX}))).is_err());
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
        &json!({"bias": "some"}),
        expect![[r#"
        `bias` in `adapter_config.json` is `"some"`; expected `"none"`, `"all"` or `"lora_only"`
    "#]],
    );
    check_refused(
        &json!({"use_dora": true, "lora_bias": true}),
        expect![[r#"
        `lora_bias` in `adapter_config.json` is `true`, which is not supported yet; PEFT has no bias in DoRA adapters, either
    "#]],
    );
    check_refused(
        &json!({"layer_replication": [[0, 2]]}),
        expect![[r#"
        `layer_replication` in `adapter_config.json` is `[[0,2]]`, which is not supported yet; merge this adapter with PEFT (`merge_and_unload`), or train it without copied layers
    "#]],
    );
    check_refused(
        &json!({"alora_invocation_tokens": [1]}),
        expect![[r#"
        `alora_invocation_tokens` in `adapter_config.json` is `[1]`, which is not supported yet; an adapter that begins at a token cannot be merged into weights
    "#]],
    );
    check_refused(
        &json!({"kasa_config": {"beta": 1}}),
        expect![[r#"
        `kasa_config` in `adapter_config.json` is `{"beta":1}`, which is not supported yet; no variant of LoRA of this name can be applied
    "#]],
    );
    check_refused(
        &json!({"use_bdlora": {"nblocks": 2}}),
        expect![[r#"
        `use_bdlora` in `adapter_config.json` is `{"nblocks":2}`, which is not supported yet; no variant of LoRA of this name can be applied
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
            `use_qalora` in `adapter_config.json` is `true`, which is not supported yet; no variant of LoRA of this name can be applied
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

/// Values that a configuration should not have, and some that it may.
fn odd_values() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(|number| json!(number)),
        "[a-z_.*()\\[\\]|^$\\\\]{0,8}".prop_map(Value::from),
        proptest::collection::vec(any::<i32>(), 0..4).prop_map(|items| json!(items)),
        proptest::collection::vec("[a-z_.]{0,12}", 0..3).prop_map(|items| json!(items)),
        ("[a-z_.*(]{0,8}", any::<i32>()).prop_map(|(key, value)| json!({ key: value })),
        ("[a-z_.]{0,12}", proptest::collection::vec(0_u64..200, 0..4))
            .prop_map(|(key, rows)| json!({ key: rows })),
    ]
}

const KEYS: [&str; 20] = [
    "r",
    "lora_alpha",
    "rank_pattern",
    "alpha_pattern",
    "use_rslora",
    "use_dora",
    "lora_bias",
    "bias",
    "fan_in_fan_out",
    "modules_to_save",
    "trainable_token_indices",
    "layers_to_transform",
    "layers_pattern",
    "target_parameters",
    "init_lora_weights",
    "peft_type",
    "base_model_name_or_path",
    "ensure_weight_tying",
    "layer_replication",
    "exclude_modules",
];

proptest! {
    #[test]
    fn foreign_configurations_never_panic(
        changes in proptest::collection::vec((proptest::sample::select(&KEYS[..]), odd_values()), 1..4),
        cut in 0_usize..1200,
    ) {
        let mut config = json!({});
        for (key, value) in changes {
            config[key] = value;
        }
        let text = config_json(&config);
        if let Ok(config) = AdapterConfig::from_json(&text) {
            let by_token = ["model.embed_tokens.weight".to_owned()];
            let adapter = with(&[
                ("embed_tokens.token_adapter.trainable_tokens_delta", &[2, 64]),
                ("embed_tokens.lora_embedding_A", &[8, 160]),
                ("embed_tokens.lora_embedding_B", &[64, 8]),
            ]);
            let outcome = match_adapter(&config, &adapter, &BaseTensors { tensors: &base(), by_token: &by_token });
            prop_assert!(outcome.is_err() || config.token_rows.values().all(|rows| rows.len() == 2));
        }
        let end = (0..=cut.min(text.len())).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
        let outcome = AdapterConfig::from_json(&text[..end]);
        prop_assert!(end == text.len() || outcome.is_err());
    }

    #[test]
    fn foreign_names_and_shapes_never_panic(
        name in "(base_model\\.model\\.)?(model\\.layers\\.0\\.)?[a-zA-Z_.]{0,30}(\\.lora_[AB])?(\\.weight)?",
        shape in proptest::collection::vec(0_u64..100, 0..4),
    ) {
        let outcome = matched(&json!({}), &[(name, shape)]);
        prop_assert!(outcome.is_err());
    }
}
