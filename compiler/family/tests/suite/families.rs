//! Every family: names and shapes of its tensors, their stored form, and the configurations that it refuses.

use expect_test::{Expect, expect};
use mc_decoder::kinds::attention::QkNorm;
use mc_decoder::kinds::gated_feed_forward::GatedFeedForward;
use mc_decoder::program::{Decoder, Head};
use mc_family::families;
use mc_family::family::Family;
use mc_graph::rotary::RotaryScaling;
use mc_tensor::model_tensor::ModelTensor;
use mc_tensor::stored::Stored;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::configs::{all, with};

fn decoder(family: &str, changes: &Value) -> Decoder {
    families::by_name(family).unwrap().decoder(&with(family, changes)).unwrap()
}

/// Checks the tensors outside the layers and of some layers, each with its stored form.
fn check_tensors(family: &str, blocks: &[u32], expected: Expect) {
    let decoder = decoder(family, &json!({}));
    let family = families::by_name(family).unwrap();
    let mut lines = Vec::new();
    for needed in family.tensors(&decoder) {
        let name = family.checkpoint_name(needed.tensor, needed.part).unwrap();
        let found = family.find(&name).unwrap();
        assert_eq!((found.tensor, found.part), (needed.tensor, needed.part), "{name}");
        if needed.tensor.block().is_some_and(|block| !blocks.contains(&block)) || needed.part > Some(1) {
            continue;
        }
        let stored = match family.stored(needed.tensor) {
            Stored::AsUsed => "",
            Stored::LessOne => ", less 1",
        };
        lines.push(format!("{name}: {} {:?}{stored}", needed.tensor.role(), needed.shape));
    }
    expected.assert_eq(&(lines.join("\n") + "\n"));
}

fn check_refused(family: &str, changes: &Value, expected: &str) {
    let error = families::by_name(family).unwrap().decoder(&with(family, changes)).unwrap_err().to_string();
    assert!(error.contains(expected), "{family}: {error}");
}

#[test]
fn an_architecture_names_its_family_and_no_other() {
    for (name, config) in all() {
        let family = families::for_config(&config).unwrap();
        assert_eq!(family.name(), name);
        family.decoder(&config).unwrap();
    }
}

#[test]
fn tensors_of_mistral() {
    check_tensors(
        "mistral",
        &[],
        expect![[r#"
        model.embed_tokens.weight: token-embedding [300, 64]
        model.norm.weight: output-norm [64]
        lm_head.weight: output [300, 64]
    "#]],
    );
    let attention = decoder("mistral", &json!({})).blocks[1].attention().unwrap().clone();
    assert_eq!((attention.window, attention.head_dim), (Some(512), 32));
}

#[test]
fn tensors_of_mixtral() {
    check_tensors(
        "mixtral",
        &[1],
        expect![[r#"
        model.embed_tokens.weight: token-embedding [300, 64]
        model.layers.1.input_layernorm.weight: attn-norm [64]
        model.layers.1.self_attn.q_proj.weight: attn-q [64, 64]
        model.layers.1.self_attn.k_proj.weight: attn-k [32, 64]
        model.layers.1.self_attn.v_proj.weight: attn-v [32, 64]
        model.layers.1.self_attn.o_proj.weight: attn-output [64, 64]
        model.layers.1.post_attention_layernorm.weight: ffn-norm [64]
        model.layers.1.block_sparse_moe.gate.weight: ffn-gate-inp [3, 64]
        model.layers.1.block_sparse_moe.experts.0.w1.weight: ffn-gate-exps [96, 64]
        model.layers.1.block_sparse_moe.experts.0.w3.weight: ffn-up-exps [96, 64]
        model.layers.1.block_sparse_moe.experts.0.w2.weight: ffn-down-exps [64, 96]
        model.layers.1.block_sparse_moe.experts.1.w1.weight: ffn-gate-exps [96, 64]
        model.layers.1.block_sparse_moe.experts.1.w3.weight: ffn-up-exps [96, 64]
        model.layers.1.block_sparse_moe.experts.1.w2.weight: ffn-down-exps [64, 96]
        model.norm.weight: output-norm [64]
        lm_head.weight: output [300, 64]
    "#]],
    );
}

#[test]
fn tensors_of_qwen2() {
    check_tensors(
        "qwen2",
        &[1],
        expect![[r#"
        model.embed_tokens.weight: token-embedding [300, 64]
        model.layers.1.input_layernorm.weight: attn-norm [64]
        model.layers.1.self_attn.q_proj.weight: attn-q [64, 64]
        model.layers.1.self_attn.k_proj.weight: attn-k [32, 64]
        model.layers.1.self_attn.v_proj.weight: attn-v [32, 64]
        model.layers.1.self_attn.o_proj.weight: attn-output [64, 64]
        model.layers.1.self_attn.q_proj.bias: attn-q-bias [64]
        model.layers.1.self_attn.k_proj.bias: attn-k-bias [32]
        model.layers.1.self_attn.v_proj.bias: attn-v-bias [32]
        model.layers.1.post_attention_layernorm.weight: ffn-norm [64]
        model.layers.1.mlp.gate_proj.weight: ffn-gate [96, 64]
        model.layers.1.mlp.up_proj.weight: ffn-up [96, 64]
        model.layers.1.mlp.down_proj.weight: ffn-down [64, 96]
        model.norm.weight: output-norm [64]
    "#]],
    );
    let decoder = decoder("qwen2", &json!({}));
    let rotary = decoder.blocks[0].attention().unwrap().rotary.clone().unwrap();
    assert!(matches!(rotary.scaling, RotaryScaling::Yarn(yarn) if yarn.original_context == 256));
}

#[test]
fn tensors_of_qwen3() {
    check_tensors(
        "qwen3",
        &[0],
        expect![[r#"
        model.embed_tokens.weight: token-embedding [300, 64]
        model.layers.0.input_layernorm.weight: attn-norm [64]
        model.layers.0.self_attn.q_proj.weight: attn-q [128, 64]
        model.layers.0.self_attn.k_proj.weight: attn-k [64, 64]
        model.layers.0.self_attn.v_proj.weight: attn-v [64, 64]
        model.layers.0.self_attn.o_proj.weight: attn-output [64, 128]
        model.layers.0.self_attn.q_norm.weight: attn-q-norm [32]
        model.layers.0.self_attn.k_norm.weight: attn-k-norm [32]
        model.layers.0.post_attention_layernorm.weight: ffn-norm [64]
        model.layers.0.mlp.gate_proj.weight: ffn-gate [96, 64]
        model.layers.0.mlp.up_proj.weight: ffn-up [96, 64]
        model.layers.0.mlp.down_proj.weight: ffn-down [64, 96]
        model.norm.weight: output-norm [64]
        lm_head.weight: output [300, 64]
    "#]],
    );
}

#[test]
fn tensors_of_qwen3_with_experts() {
    check_tensors(
        "qwen3moe",
        &[0],
        expect![[r#"
        model.embed_tokens.weight: token-embedding [300, 64]
        model.layers.0.input_layernorm.weight: attn-norm [64]
        model.layers.0.self_attn.q_proj.weight: attn-q [128, 64]
        model.layers.0.self_attn.k_proj.weight: attn-k [64, 64]
        model.layers.0.self_attn.v_proj.weight: attn-v [64, 64]
        model.layers.0.self_attn.o_proj.weight: attn-output [64, 128]
        model.layers.0.self_attn.q_norm.weight: attn-q-norm [32]
        model.layers.0.self_attn.k_norm.weight: attn-k-norm [32]
        model.layers.0.post_attention_layernorm.weight: ffn-norm [64]
        model.layers.0.mlp.gate.weight: ffn-gate-inp [3, 64]
        model.layers.0.mlp.experts.0.gate_proj.weight: ffn-gate-exps [32, 64]
        model.layers.0.mlp.experts.0.up_proj.weight: ffn-up-exps [32, 64]
        model.layers.0.mlp.experts.0.down_proj.weight: ffn-down-exps [64, 32]
        model.layers.0.mlp.experts.1.gate_proj.weight: ffn-gate-exps [32, 64]
        model.layers.0.mlp.experts.1.up_proj.weight: ffn-up-exps [32, 64]
        model.layers.0.mlp.experts.1.down_proj.weight: ffn-down-exps [64, 32]
        model.norm.weight: output-norm [64]
        lm_head.weight: output [300, 64]
    "#]],
    );
}

#[test]
fn tensors_of_gemma2() {
    check_tensors(
        "gemma2",
        &[0],
        expect![[r#"
        model.embed_tokens.weight: token-embedding [300, 64]
        model.layers.0.input_layernorm.weight: attn-norm [64], less 1
        model.layers.0.self_attn.q_proj.weight: attn-q [128, 64]
        model.layers.0.self_attn.k_proj.weight: attn-k [64, 64]
        model.layers.0.self_attn.v_proj.weight: attn-v [64, 64]
        model.layers.0.self_attn.o_proj.weight: attn-output [64, 128]
        model.layers.0.post_attention_layernorm.weight: post-attn-norm [64], less 1
        model.layers.0.pre_feedforward_layernorm.weight: ffn-norm [64], less 1
        model.layers.0.mlp.gate_proj.weight: ffn-gate [96, 64]
        model.layers.0.mlp.up_proj.weight: ffn-up [96, 64]
        model.layers.0.mlp.down_proj.weight: ffn-down [64, 96]
        model.layers.0.post_feedforward_layernorm.weight: post-ffn-norm [64], less 1
        model.norm.weight: output-norm [64], less 1
    "#]],
    );
    let decoder = decoder("gemma2", &json!({"query_pre_attn_scalar": 64}));
    assert_eq!((decoder.scales.embedding, decoder.logit_soft_cap), (8.0, Some(30.0)));
    let windows: Vec<Option<u32>> = decoder.attentions().map(|attention| attention.window).collect();
    assert_eq!(windows, [Some(128), None]);
    let attention = decoder.blocks[0].attention().unwrap();
    assert_eq!((attention.scale, attention.soft_cap), (0.125, Some(50.0)));
}

#[test]
fn tensors_of_gemma3() {
    check_tensors(
        "gemma3",
        &[0],
        expect![[r#"
        model.embed_tokens.weight: token-embedding [300, 64]
        model.layers.0.input_layernorm.weight: attn-norm [64], less 1
        model.layers.0.self_attn.q_proj.weight: attn-q [128, 64]
        model.layers.0.self_attn.k_proj.weight: attn-k [64, 64]
        model.layers.0.self_attn.v_proj.weight: attn-v [64, 64]
        model.layers.0.self_attn.o_proj.weight: attn-output [64, 128]
        model.layers.0.self_attn.q_norm.weight: attn-q-norm [32], less 1
        model.layers.0.self_attn.k_norm.weight: attn-k-norm [32], less 1
        model.layers.0.post_attention_layernorm.weight: post-attn-norm [64], less 1
        model.layers.0.pre_feedforward_layernorm.weight: ffn-norm [64], less 1
        model.layers.0.mlp.gate_proj.weight: ffn-gate [96, 64]
        model.layers.0.mlp.up_proj.weight: ffn-up [96, 64]
        model.layers.0.mlp.down_proj.weight: ffn-down [64, 96]
        model.layers.0.post_feedforward_layernorm.weight: post-ffn-norm [64], less 1
        model.norm.weight: output-norm [64], less 1
    "#]],
    );
    let decoder = decoder("gemma3", &json!({}));
    let turns: Vec<(Option<u32>, f32, bool)> = decoder
        .attentions()
        .map(|attention| {
            let rotary = attention.rotary.as_ref().unwrap();
            (attention.window, rotary.base, rotary.scaling == RotaryScaling::None)
        })
        .collect();
    assert_eq!(turns[4], (Some(128), 10_000.0, true));
    assert_eq!(turns[5], (None, 1e6, false));
}

#[test]
fn the_language_model_of_a_multimodal_gemma3_is_read() {
    let gemma3 = families::by_name("gemma3").unwrap();
    let text = json!({"hidden_size": 2560, "intermediate_size": 10240, "num_hidden_layers": 34,
        "rope_scaling": {"factor": 8.0, "rope_type": "linear"}, "sliding_window": 1024});
    let config = json!({"architectures": ["Gemma3ForConditionalGeneration"], "text_config": text});
    let decoder = gemma3.decoder(&config).unwrap();
    let attention = decoder.blocks[33].attention().unwrap();
    assert_eq!(
        (decoder.n_vocab, attention.n_heads, attention.n_kv_heads, attention.head_dim),
        (262_208, 8, 4, 256)
    );
    let tensor = ModelTensor::AttnQ { block: 3 };
    for prefix in ["language_model.model.", "model.language_model.", "model."] {
        assert_eq!(gemma3.tensor(&format!("{prefix}layers.3.self_attn.q_proj.weight")), Some(tensor));
    }
    assert!(gemma3.ignored("vision_tower.vision_model.encoder.layers.0.mlp.fc1.weight"));
    assert!(gemma3.ignored("model.multi_modal_projector.mm_input_projection_weight"));
    assert!(!gemma3.ignored("language_model.model.norm.weight"));
}

#[test]
fn rotary_parameters_of_gemma3_are_read_by_kind_of_layer() {
    let parameters = json!({
        "full_attention": {"rope_type": "linear", "factor": 8.0, "rope_theta": 2e6},
        "sliding_attention": {"rope_type": "default", "rope_theta": 20_000.0}
    });
    let changes = json!({"rope_parameters": parameters, "rope_scaling": null, "rope_theta": null,
        "rope_local_base_freq": null});
    let bases: Vec<f32> = decoder("gemma3", &changes)
        .attentions()
        .map(|attention| attention.rotary.as_ref().unwrap().base)
        .collect();
    assert_eq!(bases[4..], [20_000.0, 2e6]);
}

#[test]
fn tensors_of_phi3() {
    check_tensors(
        "phi3",
        &[0],
        expect![[r#"
        model.embed_tokens.weight: token-embedding [300, 64]
        model.layers.0.input_layernorm.weight: attn-norm [64]
        model.layers.0.self_attn.qkv_proj.weight: attn-qkv [128, 64]
        model.layers.0.self_attn.o_proj.weight: attn-output [64, 64]
        model.layers.0.post_attention_layernorm.weight: ffn-norm [64]
        model.layers.0.mlp.gate_up_proj.weight: ffn-up [192, 64]
        model.layers.0.mlp.down_proj.weight: ffn-down [64, 96]
        model.norm.weight: output-norm [64]
        lm_head.weight: output [300, 64]
    "#]],
    );
    let decoder = decoder("phi3", &json!({}));
    let rotary = decoder.blocks[0].attention().unwrap().rotary.clone().unwrap();
    assert_eq!(rotary.n_dims, 12);
    // sqrt(1 + ln(4) / ln(256))
    assert!(
        matches!(rotary.scaling, RotaryScaling::LongRope { attention_factor, .. } if attention_factor == 1.118_034)
    );
}

#[test]
fn tensors_of_smollm3() {
    check_tensors(
        "smollm3",
        &[3],
        expect![[r#"
        model.embed_tokens.weight: token-embedding [300, 64]
        model.layers.3.input_layernorm.weight: attn-norm [64]
        model.layers.3.self_attn.q_proj.weight: attn-q [64, 64]
        model.layers.3.self_attn.k_proj.weight: attn-k [32, 64]
        model.layers.3.self_attn.v_proj.weight: attn-v [32, 64]
        model.layers.3.self_attn.o_proj.weight: attn-output [64, 64]
        model.layers.3.post_attention_layernorm.weight: ffn-norm [64]
        model.layers.3.mlp.gate_proj.weight: ffn-gate [96, 64]
        model.layers.3.mlp.up_proj.weight: ffn-up [96, 64]
        model.layers.3.mlp.down_proj.weight: ffn-down [64, 96]
        model.norm.weight: output-norm [64]
    "#]],
    );
    let decoder = decoder("smollm3", &json!({}));
    let turns: Vec<bool> = decoder.attentions().map(|attention| attention.rotary.is_some()).collect();
    assert_eq!(turns, [true, true, true, false]);
}

#[test]
fn tensors_of_lfm2() {
    check_tensors(
        "lfm2",
        &[0, 1],
        expect![[r#"
        model.embed_tokens.weight: token-embedding [300, 64]
        model.layers.0.operator_norm.weight: attn-norm [64]
        model.layers.0.conv.conv.weight: shortconv-conv [64, 1, 3]
        model.layers.0.conv.in_proj.weight: shortconv-in-proj [192, 64]
        model.layers.0.conv.out_proj.weight: shortconv-out-proj [64, 64]
        model.layers.0.ffn_norm.weight: ffn-norm [64]
        model.layers.0.feed_forward.w1.weight: ffn-gate [64, 64]
        model.layers.0.feed_forward.w3.weight: ffn-up [64, 64]
        model.layers.0.feed_forward.w2.weight: ffn-down [64, 64]
        model.layers.1.operator_norm.weight: attn-norm [64]
        model.layers.1.self_attn.q_proj.weight: attn-q [64, 64]
        model.layers.1.self_attn.k_proj.weight: attn-k [32, 64]
        model.layers.1.self_attn.v_proj.weight: attn-v [32, 64]
        model.layers.1.self_attn.out_proj.weight: attn-output [64, 64]
        model.layers.1.self_attn.q_layernorm.weight: attn-q-norm [16]
        model.layers.1.self_attn.k_layernorm.weight: attn-k-norm [16]
        model.layers.1.ffn_norm.weight: ffn-norm [64]
        model.layers.1.feed_forward.w1.weight: ffn-gate [64, 64]
        model.layers.1.feed_forward.w3.weight: ffn-up [64, 64]
        model.layers.1.feed_forward.w2.weight: ffn-down [64, 64]
        model.embedding_norm.weight: output-norm [64]
    "#]],
    );
    assert_eq!(
        decoder("lfm2", &json!({"block_auto_adjust_ff_dim": false})).blocks[0]
            .feed_forward
            .get::<GatedFeedForward>()
            .unwrap()
            .n_ff,
        96
    );
    assert_eq!(
        decoder("lfm2", &json!({"block_ff_dim": 120})).blocks[0]
            .feed_forward
            .get::<GatedFeedForward>()
            .unwrap()
            .n_ff,
        96
    );
}

#[test]
fn lfm2_reads_the_keys_of_its_first_releases() {
    let first = json!({
        "layer_types": null, "full_attn_idxs": [1], "intermediate_size": null, "block_ff_dim": 96,
        "tie_embedding": false
    });
    let untied = decoder("lfm2", &first);
    let expected = decoder("lfm2", &json!({}));
    assert_eq!(untied.blocks, expected.blocks);
    assert_eq!((untied.head, expected.head), (Head::Untied, Head::Tied));
    assert_eq!(decoder("lfm2", &json!({"tie_embedding": true})), expected);
}

#[test]
fn tensors_of_granite() {
    check_tensors(
        "granite",
        &[],
        expect![[r#"
        model.embed_tokens.weight: token-embedding [300, 64]
        model.norm.weight: output-norm [64]
        lm_head.weight: output [300, 64]
    "#]],
    );
    let decoder = decoder("granite", &json!({}));
    let scales = decoder.scales;
    assert_eq!((scales.embedding, scales.residual, scales.logit_divisor), (12.0, 0.25, 8.0));
    assert_eq!(decoder.blocks[0].attention().unwrap().scale, 0.0625);
}

#[test]
fn tensors_of_olmo2() {
    check_tensors(
        "olmo2",
        &[0],
        expect![[r#"
        model.embed_tokens.weight: token-embedding [300, 64]
        model.layers.0.self_attn.q_proj.weight: attn-q [64, 64]
        model.layers.0.self_attn.k_proj.weight: attn-k [32, 64]
        model.layers.0.self_attn.v_proj.weight: attn-v [32, 64]
        model.layers.0.self_attn.o_proj.weight: attn-output [64, 64]
        model.layers.0.self_attn.q_norm.weight: attn-q-norm [64]
        model.layers.0.self_attn.k_norm.weight: attn-k-norm [32]
        model.layers.0.post_attention_layernorm.weight: post-attn-norm [64]
        model.layers.0.mlp.gate_proj.weight: ffn-gate [96, 64]
        model.layers.0.mlp.up_proj.weight: ffn-up [96, 64]
        model.layers.0.mlp.down_proj.weight: ffn-down [64, 96]
        model.layers.0.post_feedforward_layernorm.weight: post-ffn-norm [64]
        model.norm.weight: output-norm [64]
        lm_head.weight: output [300, 64]
    "#]],
    );
    let decoder = decoder("olmo2", &json!({}));
    assert_eq!(decoder.blocks[0].attn_norm, None);
    assert!(matches!(decoder.blocks[0].attention().unwrap().qk_norm, QkNorm::Whole(_)));
}

#[test]
fn a_configuration_without_a_program_is_refused() {
    for (family, changes, expected) in [
        ("llama", json!({"mlp_bias": true}), "`mlp_bias`"),
        ("mistral", json!({"hidden_act": "gelu"}), "`hidden_act`"),
        ("mixtral", json!({"num_local_experts": 0}), "`num_local_experts`"),
        ("mixtral", json!({"num_local_experts": 4_000_000}), "at most 1024"),
        ("mixtral", json!({"num_experts_per_tok": 4}), "at most `num_local_experts`, which is 3"),
        (
            "qwen2",
            json!({"rope_scaling": {"type": "yarn", "factor": 2}}),
            "`rope_scaling.original_max_position_embeddings`",
        ),
        ("qwen3", json!({"attention_bias": true}), "`attention_bias`"),
        ("qwen2", json!({"rope_scaling": {"type": "dynamic"}}), "`\"longrope\"` or `\"yarn\"`"),
        ("qwen2", json!({"max_window_layers": "all"}), "`max_window_layers`"),
        ("qwen3moe", json!({"mlp_only_layers": [9]}), "`mlp_only_layers`"),
        ("qwen3moe", json!({"decoder_sparse_step": "all"}), "`decoder_sparse_step`"),
        ("qwen3moe", json!({"norm_topk_prob": "yes"}), "`norm_topk_prob`"),
        ("gemma2", json!({"hidden_activation": "gelu"}), "`hidden_activation`"),
        ("gemma2", json!({"sliding_window_pattern": 4}), "`sliding_window_pattern`"),
        ("gemma2", json!({"layer_types": ["full_attention"]}), "for each of 2 layers"),
        ("gemma3", json!({"use_bidirectional_attention": true}), "`use_bidirectional_attention`"),
        ("gemma3", json!({"attn_logit_softcapping": 50.0}), "`attn_logit_softcapping`"),
        ("phi3", json!({"partial_rotary_factor": 0.5}), "a list of 4 numbers above 0"),
        ("phi3", json!({"partial_rotary_factor": 1.5}), "at most 1"),
        ("smollm3", json!({"no_rope_layers": [1, 1]}), "a list of 0 or 1 for each of 4 layers"),
        ("lfm2", json!({"conv_bias": true}), "`conv_bias`"),
        (
            "lfm2",
            json!({"layer_types": ["conv", "recurrent"]}),
            "one of `conv`, `full_attention` for each of 2 layers",
        ),
        ("lfm2", json!({"layer_types": null}), "no `layer_types`"),
        ("lfm2", json!({"layer_types": null, "full_attn_idxs": [2]}), "numbers of layers, below 2"),
        ("granite", json!({"head_dim": 32}), "expected 16"),
        ("olmo2", json!({"attention_bias": true}), "`attention_bias`"),
    ] {
        check_refused(family, &changes, expected);
    }
}

/// Returns the window of each layer, `-` for none.
fn windows(family: &str, changes: &Value) -> String {
    let shown = |window: Option<u32>| window.map_or_else(|| "-".to_owned(), |window| window.to_string());
    let decoder = decoder(family, changes);
    let windows = decoder.attentions().map(|attention| shown(attention.window));
    windows.collect::<Vec<_>>().join(" ")
}

#[test]
fn windows_of_layers_follow_the_configuration() {
    let switched =
        |key: &str, value: Value| json!({"use_sliding_window": true, "sliding_window": 64, key: value});
    for family in ["qwen2", "qwen3"] {
        assert_eq!(windows(family, &json!({"sliding_window": 64})), "- -");
        assert_eq!(windows(family, &switched("max_window_layers", json!(1))), "- 64");
        assert_eq!(windows(family, &switched("max_window_layers", json!(28))), "- -");
        let types = json!(["sliding_attention", "full_attention"]);
        assert_eq!(windows(family, &switched("layer_types", types)), "64 -");
    }
    assert_eq!(windows("qwen3moe", &switched("max_window_layers", json!(1))), "64 64");
    assert_eq!(windows("gemma2", &json!({"layer_types": ["full_attention", "sliding_attention"]})), "- 128");
    assert_eq!(windows("gemma3", &json!({"sliding_window_pattern": 2})), "128 - 128 - 128 -");
    assert_eq!(windows("smollm3", &switched("no_rope_layers", json!([1, 0, 1, 1]))), "- 64 - -");
}

#[test]
fn any_layer_may_be_without_positions_or_experts() {
    let positions = |changes: &Value| {
        let decoder = decoder("smollm3", changes);
        let has: Vec<bool> = decoder.attentions().map(|attention| attention.rotary.is_some()).collect();
        has
    };
    assert_eq!(positions(&json!({"no_rope_layers": [1, 1, 0, 1]})), [true, true, false, true]);
    let every_second = json!({"no_rope_layers": null, "no_rope_layer_interval": 2});
    assert_eq!(positions(&every_second), [true, false, true, false]);
    for changes in [json!({"mlp_only_layers": [0]}), json!({"decoder_sparse_step": 2})] {
        let decoder = decoder("qwen3moe", &changes);
        let has: Vec<bool> = decoder.blocks.iter().map(|block| block.experts().is_some()).collect();
        assert_eq!(has, [false, true]);
        let family = families::by_name("qwen3moe").unwrap();
        let dense = ModelTensor::FfnUp { block: 0 };
        assert!(family.tensors(&decoder).any(|needed| needed.tensor == dense));
        assert_eq!(family.tensor("model.layers.0.mlp.up_proj.weight"), Some(dense));
    }
}

#[test]
fn quantized_weights_are_read_where_their_scales_are_plain() {
    let group = |weights: Value| {
        json!({"quantization_config": {
            "quant_method": "compressed-tensors", "format": "float-quantized",
            "config_groups": {"group_0": {"weights": weights}}
        }})
    };
    for changes in [
        json!({"quantization_config": {"quant_method": "fp8", "weight_block_size": [128, 128]}}),
        json!({"quantization_config": {"quant_method": "fp8"}}),
        group(json!({"type": "float", "num_bits": 8, "strategy": "channel"})),
        group(json!({"type": "float", "num_bits": 8, "strategy": "block", "block_structure": [128, 128]})),
    ] {
        decoder("qwen3", &changes);
    }
    for (changes, expected) in [
        (
            json!({"quantization_config": {"quant_method": "gptq", "bits": 4}}),
            "start from the checkpoint with 16-bit",
        ),
        (
            json!({"quantization_config": {"quant_method": "fp8", "weight_block_size": [0, 128]}}),
            "two whole numbers",
        ),
        (
            json!({"quantization_config": {"quant_method": "fp8", "weight_block_size": 128}}),
            "two whole numbers",
        ),
        (
            json!({"quantization_config": {"quant_method": "compressed-tensors", "format": "pack-quantized"}}),
            "`quantization_config.format`",
        ),
        (group(json!({"type": "int", "num_bits": 8, "strategy": "channel"})), "weights.type`"),
        (group(json!({"type": "float", "num_bits": 4, "strategy": "channel"})), "weights.num_bits`"),
        (group(json!({"type": "float", "num_bits": 8, "strategy": "group"})), "weights.strategy`"),
        (group(json!({"type": "float", "num_bits": 8, "strategy": "block"})), "weights.block_structure`"),
        (json!({"quantization_config": 8}), "expected an object"),
    ] {
        check_refused("qwen3", &changes, expected);
    }
}

#[test]
fn absurd_numbers_name_their_key() {
    for (name, _) in all() {
        for (key, value) in [
            ("num_hidden_layers", json!(1_000_000_000)),
            ("num_attention_heads", json!(0)),
            ("num_attention_heads", json!(5)),
            ("num_key_value_heads", json!(3)),
            ("hidden_size", json!("wide")),
            ("vocab_size", json!(-1)),
            ("intermediate_size", json!(0)),
            ("max_position_embeddings", json!(1e20)),
            ("rope_theta", json!(0)),
            ("tie_word_embeddings", json!("yes")),
        ] {
            let changes = json!({key: value});
            let error = families::by_name(name).unwrap().decoder(&with(name, &changes));
            let error = error.map(|_| ()).unwrap_err().to_string();
            // If numbers of heads do not divide, the error names either of the two keys.
            assert!(error.contains(key) || error.contains("num_key_value_heads"), "{name} {key}: {error}");
        }
        check_refused(name, &json!({"head_dim": 0}), "`head_dim`");
    }
}

/// Generates values that a configuration might contain by mistake.
fn mistaken() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(json!(null)),
        Just(json!(true)),
        Just(json!("text")),
        Just(json!([])),
        Just(json!({})),
        Just(json!([0, "x", null])),
        Just(json!({"type": "longrope", "factor": 1e300, "long_factor": [1], "short_factor": {}})),
        Just(
            json!({"rope_type": "llama3", "factor": 1e-300, "low_freq_factor": 1e300, "high_freq_factor": 2e300})
        ),
        Just(json!({"full_attention": 3, "sliding_attention": []})),
        any::<i64>().prop_map(|number| json!(number)),
        any::<f64>().prop_map(|number| json!(number)),
        (0u64..70_000).prop_map(|number| json!(number)),
        Just(json!(4_294_967_295_u64)),
        Just(json!(1000)),
    ]
}

proptest! {
    #[test]
    fn a_mutated_configuration_is_read_or_refused_but_never_a_panic(
        family in 0..13usize,
        changes in prop::collection::vec((any::<prop::sample::Index>(), mistaken()), 1..4),
    ) {
        let (name, mut config) = all().swap_remove(family);
        let mut keys: Vec<String> = config.as_object().unwrap().keys().cloned().collect();
        keys.extend(["rope_scaling", "rope_parameters", "quantization_config", "text_config", "layer_types"].map(str::to_owned));
        for (index, value) in changes {
            config[index.get(&keys)] = value;
        }
        let family = families::by_name(name).unwrap();
        if let Ok(decoder) = family.decoder(&config) {
            prop_assert!(decoder.blocks.len() <= 1000);
            if decoder.blocks.len() <= 64 {
                for needed in family.tensors(&decoder) {
                    prop_assert!(family.checkpoint_name(needed.tensor, needed.part).is_some());
                    family.stored(needed.tensor);
                }
            }
        }
    }

    #[test]
    fn any_name_is_read_by_any_family_without_a_panic(
        family in 0..13usize,
        name in "(language_model\\.)?(model\\.)?(layers\\.)?[0-9]{0,12}\\.?(mlp\\.experts\\.[0-9+]{1,3})?[a-z_.]{0,24}",
    ) {
        let family: &dyn Family = families::FAMILIES[family];
        if let Some(found) = family.find(&name) {
            prop_assert_eq!(family.checkpoint_name(found.tensor, found.part), Some(family.plain_name(&name).into_owned()));
        }
    }
}
