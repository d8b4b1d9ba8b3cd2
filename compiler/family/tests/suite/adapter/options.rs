//! Options of PEFT other than plain pairs.

use super::*;

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
fn a_transposed_weight_is_reported_by_its_shape_alone() {
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
fn separately_stored_experts_are_ordinary_modules() {
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
fn stacked_experts_are_reported_by_their_shapes() {
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
        Adapter tensor `base_model.model.model.layers.0.mlp.experts.lora_A.weight` fits 2 stacked parameters of its module. The intended one is ambiguous; train the adapter on one parameter at a time
    "#]].assert_eq(&mismatched(&twins, &adapter[2..]));
}
