//! The Llama family: names in both directions, the program of a configuration, and refusals.

use expect_test::{Expect, expect};
use mc_decoder::needed::Needed;
use mc_decoder::program::{Decoder, Head};
use mc_family::error::FamilyError;
use mc_family::families;
use mc_family::families::llama::Llama;
use mc_family::family::Family;
use mc_graph::rotary::{RotaryPairing, RotaryScaling};
use mc_tensor::model_tensor::ModelTensor;
use proptest::prelude::*;
use serde_json::{Value, json};

/// Returns the configuration of a small Llama 3.2.
fn config() -> Value {
    json!({
        "architectures": ["LlamaForCausalLM"],
        "attention_bias": false,
        "head_dim": 64,
        "hidden_act": "silu",
        "hidden_size": 512,
        "intermediate_size": 1536,
        "max_position_embeddings": 131_072,
        "mlp_bias": false,
        "num_attention_heads": 8,
        "num_hidden_layers": 8,
        "num_key_value_heads": 2,
        "rms_norm_eps": 1e-5,
        "rope_scaling": {
            "factor": 32.0,
            "high_freq_factor": 4.0,
            "low_freq_factor": 1.0,
            "original_max_position_embeddings": 8192,
            "rope_type": "llama3"
        },
        "rope_theta": 500_000.0,
        "tie_word_embeddings": true,
        "vocab_size": 128_256
    })
}

/// Returns the configuration with some keys replaced; `null` means an absent key.
fn with(changes: &Value) -> Value {
    let mut config = config();
    for (key, value) in changes.as_object().unwrap() {
        config[key] = value.clone();
    }
    config
}

fn decoder(changes: &Value) -> Decoder {
    Llama.decoder(&with(changes)).unwrap()
}

fn check_refused(changes: &Value, expected: Expect) {
    expected.assert_eq(&format!("{}\n", Llama.decoder(&with(changes)).unwrap_err()));
}

fn check_unknown(config: &Value, expected: Expect) {
    let error: Result<&str, FamilyError> = families::for_config(config).map(Family::name);
    expected.assert_eq(&format!("{}\n", error.unwrap_err()));
}

#[test]
fn a_configuration_becomes_a_program() {
    let decoder = decoder(&json!({}));
    assert_eq!(decoder.family, "llama");
    assert_eq!((decoder.n_embd, decoder.n_vocab, decoder.context_length), (512, 128_256, 131_072));
    assert_eq!((decoder.blocks.len(), decoder.head), (8, Head::Tied));
    let attention = decoder.blocks[7].attention().unwrap();
    assert_eq!((attention.n_heads, attention.n_kv_heads, attention.head_dim), (8, 2, 64));
    assert_eq!((attention.scale, attention.qkv_bias, attention.output_bias), (0.125, false, false));
    let rotary = attention.rotary.as_ref().unwrap();
    assert_eq!((rotary.n_dims, rotary.base, rotary.pairing), (64, 500_000.0, RotaryPairing::HalfSplit));
    assert_eq!(
        rotary.scaling,
        RotaryScaling::Llama3 {
            factor: 32.0,
            low_freq_factor: 1.0,
            high_freq_factor: 4.0,
            original_context: 8192
        }
    );
}

#[test]
fn absent_keys_have_the_defaults_of_transformers() {
    let decoder = decoder(&json!({
        "head_dim": null, "num_key_value_heads": null, "rope_scaling": null, "rope_theta": null,
        "tie_word_embeddings": null, "hidden_act": null
    }));
    let attention = decoder.blocks[0].attention().unwrap();
    assert_eq!((attention.n_kv_heads, attention.head_dim), (8, 64));
    let rotary = attention.rotary.as_ref().unwrap();
    assert_eq!((rotary.base, rotary.scaling.clone()), (10_000.0, RotaryScaling::None));
    assert_eq!(decoder.head, Head::Untied);
}

#[test]
fn rotary_parameters_are_read_in_both_spellings() {
    let scaling = |changes: &Value| {
        let rotary = decoder(changes).blocks[0].attention().unwrap().rotary.clone().unwrap();
        (rotary.base, rotary.scaling)
    };
    let linear = RotaryScaling::Linear { factor: 4.0 };
    assert_eq!(
        scaling(&json!({"rope_scaling": {"type": "linear", "factor": 4}})),
        (500_000.0, linear.clone())
    );
    assert_eq!(
        scaling(&json!({
            "rope_scaling": null, "rope_theta": null,
            "rope_parameters": {"rope_type": "linear", "factor": 4.0, "rope_theta": 1e6}
        })),
        (1e6, linear)
    );
    assert_eq!(scaling(&json!({"rope_scaling": {"rope_type": "default"}})), (500_000.0, RotaryScaling::None));
}

#[test]
fn every_tensor_has_one_name_and_the_name_means_that_tensor() {
    let decoder = decoder(&json!({"attention_bias": true, "tie_word_embeddings": false}));
    let tensors: Vec<Needed> = Llama.tensors(&decoder).collect();
    assert_eq!(tensors.len(), 3 + 8 * 13);
    for needed in &tensors {
        let name = Llama.checkpoint_name(needed.tensor, needed.part).unwrap();
        assert_eq!(Llama.tensor(&name), Some(needed.tensor), "{name}");
    }
    assert_eq!(Llama.checkpoint_name(ModelTensor::RopeFreqs, None), None);
}

#[test]
fn names_and_shapes_of_a_layer() {
    let decoder =
        decoder(&json!({"attention_bias": true, "tie_word_embeddings": false, "num_hidden_layers": 1}));
    let lines: Vec<String> = Llama
        .tensors(&decoder)
        .map(|Needed { tensor, part, shape }| {
            format!("{} {shape:?}", Llama.checkpoint_name(tensor, part).unwrap())
        })
        .collect();
    expect![[r#"
        model.embed_tokens.weight [128256, 512]
        model.layers.0.input_layernorm.weight [512]
        model.layers.0.self_attn.q_proj.weight [512, 512]
        model.layers.0.self_attn.k_proj.weight [128, 512]
        model.layers.0.self_attn.v_proj.weight [128, 512]
        model.layers.0.self_attn.o_proj.weight [512, 512]
        model.layers.0.self_attn.q_proj.bias [512]
        model.layers.0.self_attn.k_proj.bias [128]
        model.layers.0.self_attn.v_proj.bias [128]
        model.layers.0.self_attn.o_proj.bias [512]
        model.layers.0.post_attention_layernorm.weight [512]
        model.layers.0.mlp.gate_proj.weight [1536, 512]
        model.layers.0.mlp.up_proj.weight [1536, 512]
        model.layers.0.mlp.down_proj.weight [512, 1536]
        model.norm.weight [512]
        lm_head.weight [128256, 512]"#]]
    .assert_eq(&lines.join("\n"));
}

#[test]
fn a_tied_head_is_not_a_tensor() {
    let decoder = decoder(&json!({}));
    assert!(Llama.tensors(&decoder).all(|needed| needed.tensor != ModelTensor::Output));
}

#[test]
fn names_that_only_look_right_are_unknown() {
    for name in [
        "model.layers.03.mlp.up_proj.weight",
        "model.layers.+3.mlp.up_proj.weight",
        "model.layers.4294967296.mlp.up_proj.weight",
        "model.layers.3.mlp.up_proj.weight ",
        "model.layers.3.mlp.up_proj",
        "layers.3.mlp.up_proj.weight",
        "model.layers.",
        "",
    ] {
        assert_eq!(Llama.tensor(name), None, "{name}");
    }
    assert!(Llama.ignored("model.layers.0.self_attn.rotary_emb.inv_freq"));
    assert!(!Llama.ignored("lm_head.weight"));
}

#[test]
fn a_wrong_configuration_is_reported_with_the_expected_value() {
    check_refused(
        &json!({"hidden_size": null}),
        expect![[r#"
        `config.json` has no `hidden_size`; expected a whole number above 0
    "#]],
    );
    check_refused(
        &json!({"vocab_size": "many"}),
        expect![[r#"
            `vocab_size` in `config.json` is `"many"`; expected a whole number from 1 to 16777216
        "#]],
    );
    check_refused(
        &json!({"num_hidden_layers": 0}),
        expect![[r#"
            `num_hidden_layers` in `config.json` is `0`; expected a whole number from 1 to 1000
        "#]],
    );
    check_refused(
        &json!({"num_hidden_layers": 4_000_000_000_u32}),
        expect![[r#"
            `num_hidden_layers` in `config.json` is `4000000000`; expected a whole number from 1 to 1000
        "#]],
    );
    check_refused(
        &json!({"num_key_value_heads": 3}),
        expect![[r#"
        `num_key_value_heads` in `config.json` is `3`; expected a divisor of `num_attention_heads`, which is 8
    "#]],
    );
    check_refused(
        &json!({"head_dim": null, "num_attention_heads": 6, "num_key_value_heads": 6}),
        expect![[r#"
            `num_attention_heads` in `config.json` is `6`; expected a divisor of `hidden_size`, which is 512, or a `head_dim`
        "#]],
    );
    check_refused(
        &json!({"head_dim": 33}),
        expect![[r#"
        `head_dim` in `config.json` is `33`; expected heads of even width for the rotary pairs, not 33
    "#]],
    );
    check_refused(
        &json!({"rms_norm_eps": -1}),
        expect![[r#"
            `rms_norm_eps` in `config.json` is `-1`; expected a number from 1e-12 to 0.1
        "#]],
    );
    check_refused(
        &json!({"tie_word_embeddings": 1}),
        expect![[r#"
        `tie_word_embeddings` in `config.json` is `1`; expected `true` or `false`
    "#]],
    );
    check_refused(
        &json!({"rope_scaling": "yarn"}),
        expect![[r#"
        `rope_scaling` in `config.json` is `"yarn"`; expected an object
    "#]],
    );
    check_refused(
        &json!({"rope_scaling": {"rope_type": "linear"}}),
        expect![[r#"
        `config.json` has no `rope_scaling.factor`; expected a number above 0
    "#]],
    );
    check_refused(
        &json!({"rope_scaling": {"rope_type": "llama3", "low_freq_factor": 4, "high_freq_factor": 4}}),
        expect![[r#"
            `rope_scaling.high_freq_factor` in `config.json` is `4`; expected more than `low_freq_factor`, which is 4
        "#]],
    );
}

#[test]
fn an_unsupported_value_is_reported_with_the_supported_ones() {
    check_refused(
        &json!({"hidden_act": "gelu"}),
        expect![[r#"
        `hidden_act` in `config.json` is `"gelu"`, which is not supported yet; expected `"silu"`
    "#]],
    );
    check_refused(
        &json!({"mlp_bias": true}),
        expect![[r#"
        `mlp_bias` in `config.json` is `true`, which is not supported yet; expected `false`
    "#]],
    );
    check_refused(
        &json!({"rope_scaling": {"rope_type": "dynamic", "factor": 4}}),
        expect![[r#"
        `rope_scaling.rope_type` in `config.json` is `"dynamic"`, which is not supported yet; expected `"default"`, `"linear"`, `"llama3"`, `"longrope"` or `"yarn"`
    "#]],
    );
    check_refused(
        &json!({"partial_rotary_factor": 0.5}),
        expect![[r#"
        `partial_rotary_factor` in `config.json` is `0.5`, which is not supported yet; expected 1
    "#]],
    );
    check_refused(
        &json!({"quantization_config": {"quant_method": "bitsandbytes"}}),
        expect![[r#"
        `quantization_config` in `config.json` is `{"quant_method":"bitsandbytes"}`, which is not supported yet; start from the checkpoint with 16-bit or 32-bit weights, or 8-bit floats with scales (`fp8`, `compressed-tensors`)
    "#]],
    );
}

#[test]
fn a_family_is_found_by_the_architecture() {
    assert_eq!(families::for_config(&config()).unwrap().name(), "llama");
    check_unknown(
        &json!({"architectures": ["FalconForCausalLM"]}),
        expect![[r#"
            Models of the architecture `FalconForCausalLM` are not supported
        "#]],
    );
    check_unknown(
        &json!({}),
        expect![[r#"
        `config.json` has no `architectures`; expected a list with the architecture's name, such as `["LlamaForCausalLM"]`
    "#]],
    );
    check_unknown(
        &json!({"architectures": "LlamaForCausalLM"}),
        expect![[r#"
        `architectures` in `config.json` is `"LlamaForCausalLM"`; expected a list with the architecture's name, such as `["LlamaForCausalLM"]`
    "#]],
    );
    check_unknown(
        &json!(["LlamaForCausalLM"]),
        expect![[r#"
        `config.json` is not a JSON object: found `["LlamaForCausalLM"]`
    "#]],
    );
}

proptest! {
    #[test]
    fn any_name_is_read_without_a_panic(name in "(model\\.)?(layers\\.)?[0-9]{0,12}\\.?[a-z_.]{0,24}") {
        if let Some(tensor) = Llama.tensor(&name) {
            prop_assert_eq!(Llama.checkpoint_name(tensor, None), Some(name));
        }
    }

    #[test]
    fn any_layer_number_goes_both_ways(block in any::<u32>()) {
        let tensor = ModelTensor::AttnK { block };
        prop_assert_eq!(Llama.tensor(&Llama.checkpoint_name(tensor, None).unwrap()), Some(tensor));
    }
}
