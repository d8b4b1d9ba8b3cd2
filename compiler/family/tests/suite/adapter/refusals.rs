//! Adapters that are refused, with the messages.

use super::*;

#[test]
fn excessive_ranks_are_reported() {
    let error = matched(&json!({"r": u32::MAX}), &adapter()).unwrap_err().to_string();
    assert!(error.contains("`adapter_config.json` says 4294967295"), "{error}");
    assert!(AdapterConfig::from_json(&config_json(&json!({"r": u64::MAX}))).is_err());
}

#[test]
fn half_a_pair_is_reported() {
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
fn two_adapters_in_one_file_are_reported() {
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
fn ranks_and_shapes_that_do_not_fit_are_reported() {
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
fn layers_outside_the_configuration_are_reported() {
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
fn an_unsupported_option_is_named_by_its_key() {
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
        `kasa_config` in `adapter_config.json` is `{"beta":1}`, which is not supported yet; this variant of LoRA is not supported
    "#]],
    );
    check_refused(
        &json!({"use_bdlora": {"nblocks": 2}}),
        expect![[r#"
        `use_bdlora` in `adapter_config.json` is `{"nblocks":2}`, which is not supported yet; this variant of LoRA is not supported
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
            `use_qalora` in `adapter_config.json` is `true`, which is not supported yet; this variant of LoRA is not supported
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
            `lora_alpha` in `adapter_config.json` is `"16"`; expected a number from 1e-9 to 1e9
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
fn other_initializations_are_plain_pairs() {
    for kind in [json!(true), json!(false), json!(null), json!("gaussian"), json!("eva"), json!("orthogonal")]
    {
        config(&json!({"init_lora_weights": kind}));
    }
}

/// Returns values of which most are invalid in a configuration.
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
