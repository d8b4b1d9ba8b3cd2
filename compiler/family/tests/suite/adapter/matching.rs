//! The weight and the scale of each pair of factors.

use super::*;

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
fn an_adapter_of_another_class_is_reported_by_its_prefix() {
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
fn an_adapter_of_a_deeper_base_is_reported_by_unmatched_tensors() {
    check_mismatch(
        &json!({}),
        &renamed("layers.1", "layers.7"),
        expect![[r#"
        4 of 8 adapter tensors match the base; it has no counterpart of `base_model.model.model.layers.7.self_attn.q_proj.lora_A.weight`, `base_model.model.model.layers.7.self_attn.q_proj.lora_B.weight`, `base_model.model.model.layers.7.mlp.down_proj.lora_A.weight` and 1 more. Give the base that the adapter was trained on, which was `base`
    "#]],
    );
}

#[test]
fn an_unmatched_tensor_is_never_dropped() {
    for name in [
        "model.layers.0.mlp.down_proj.lora_magnitude_vector.a.b",
        "model.layers.0.self_attn.rotary_emb.inv_freq",
        "lm_head.lora_A.weight",
        "score.weight",
    ] {
        let mut adapter = adapter();
        adapter.push((format!("base_model.model.{name}"), vec![64]));
        let error = matched(&json!({}), &adapter).unwrap_err().to_string();
        assert!(
            error.starts_with("8 of 9 adapter tensors match the base; it has no counterpart of"),
            "{error}"
        );
    }
}
