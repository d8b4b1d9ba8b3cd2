//! A small configuration of each family, in the form of its publisher.

use serde_json::{Value, json};

/// Returns the configurations by family.
pub(crate) fn all() -> Vec<(&'static str, Value)> {
    let usual = |architecture: &str, more: Value| {
        let mut config = json!({
            "architectures": [architecture],
            "hidden_act": "silu",
            "hidden_size": 64,
            "intermediate_size": 96,
            "max_position_embeddings": 1024,
            "num_attention_heads": 4,
            "num_hidden_layers": 2,
            "num_key_value_heads": 2,
            "rms_norm_eps": 1e-6,
            "rope_theta": 50_000.0,
            "tie_word_embeddings": false,
            "vocab_size": 300
        });
        for (key, value) in more.as_object().unwrap() {
            config[key] = value.clone();
        }
        config
    };
    let yarn = json!({"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 256});
    vec![
        ("llama", usual("LlamaForCausalLM", json!({"head_dim": 16, "attention_bias": true}))),
        ("mistral", usual("MistralForCausalLM", json!({"head_dim": 32, "sliding_window": 512}))),
        ("mixtral", usual("MixtralForCausalLM", json!({"num_local_experts": 3, "num_experts_per_tok": 2}))),
        ("qwen2", usual("Qwen2ForCausalLM", json!({"rope_scaling": yarn, "tie_word_embeddings": true}))),
        ("qwen3", usual("Qwen3ForCausalLM", json!({"head_dim": 32}))),
        (
            "qwen3moe",
            usual(
                "Qwen3MoeForCausalLM",
                json!({
                    "head_dim": 32, "num_experts": 3, "num_experts_per_tok": 2, "moe_intermediate_size": 32,
                    "norm_topk_prob": true, "decoder_sparse_step": 1, "mlp_only_layers": []
                }),
            ),
        ),
        (
            "gemma2",
            usual(
                "Gemma2ForCausalLM",
                json!({
                    "head_dim": 32, "hidden_act": null, "hidden_activation": "gelu_pytorch_tanh",
                    "rope_theta": 10_000.0, "attn_logit_softcapping": 50.0, "final_logit_softcapping": 30.0,
                    "sliding_window": 128, "query_pre_attn_scalar": 32, "tie_word_embeddings": null
                }),
            ),
        ),
        (
            "gemma3",
            usual(
                "Gemma3ForCausalLM",
                json!({
                    "head_dim": 32, "hidden_act": null, "hidden_activation": "gelu_pytorch_tanh",
                    "num_hidden_layers": 6, "rope_theta": 1e6, "rope_local_base_freq": 10_000.0,
                    "rope_scaling": {"rope_type": "linear", "factor": 8.0}, "sliding_window": 128,
                    "query_pre_attn_scalar": 32, "tie_word_embeddings": null
                }),
            ),
        ),
        (
            "phi3",
            usual(
                "Phi3ForCausalLM",
                json!({
                    "partial_rotary_factor": 0.75, "original_max_position_embeddings": 256,
                    "rope_scaling": {
                        "type": "longrope",
                        "long_factor": [1.0, 1.5, 2.0, 2.5, 3.0, 3.5],
                        "short_factor": [1.0, 1.0, 1.0, 1.0, 1.0, 1.25]
                    }
                }),
            ),
        ),
        (
            "smollm3",
            usual(
                "SmolLM3ForCausalLM",
                json!({"num_hidden_layers": 4, "no_rope_layers": [1, 1, 1, 0], "tie_word_embeddings": null}),
            ),
        ),
        (
            "lfm2",
            usual(
                "Lfm2ForCausalLM",
                json!({
                    "rms_norm_eps": null, "norm_eps": 1e-5, "layer_types": ["conv", "full_attention"],
                    "conv_L_cache": 3, "conv_bias": false, "block_auto_adjust_ff_dim": true,
                    "block_ffn_dim_multiplier": 1.0, "block_multiple_of": 32, "tie_word_embeddings": null
                }),
            ),
        ),
        (
            "granite",
            usual(
                "GraniteForCausalLM",
                json!({
                    "attention_multiplier": 0.0625, "embedding_multiplier": 12.0, "residual_multiplier": 0.25,
                    "logits_scaling": 8.0
                }),
            ),
        ),
        ("olmo2", usual("Olmo2ForCausalLM", json!({}))),
    ]
}

/// Returns the configuration of one family with some keys replaced; `null` means an absent key.
pub(crate) fn with(family: &str, changes: &Value) -> Value {
    let (_, mut config) = all().into_iter().find(|(name, _)| *name == family).unwrap();
    for (key, value) in changes.as_object().unwrap() {
        config[key] = value.clone();
    }
    config
}
