//! Models with other layers than the demo's: a mixture of experts and short convolutions, from the checkpoint to
//! answers.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use serde_json::{Map, Value, json};

use crate::random::Random;
use crate::sandbox::{Sandbox, copy};

const HIDDEN: usize = 256;
const HEAD: usize = 64;
const N_LAYERS: usize = 2;
const N_EXPERTS: usize = 4;
const N_TOKENS: usize = 4096;

/// A checkpoint and targets for all operations on it. The weights are noise, hence the wide limits.
const TARGETS: &str = r#"
checkpoint "tiny" dir="tiny"
dataset "calibration" { files "calibration.txt"; }
dataset "evaluation" { files "evaluation.txt"; }
dataset "questions" { files "questions.jsonl"; }
gguf "f16" {
    model ":tiny"
    quantize "F16"
}
model "q4km" {
    base ":tiny"
    calibration ":calibration" from="base" context=64
    quantize "Q4_K_M"
    gate {
        perplexity on=":evaluation" max-increase="50%" context=64
        kl on=":evaluation" max-mean=1 context=64
        accuracy on=":questions" min="0%" max-decrease="100%" max-tokens=4
    }
}
"#;

/// The contents of a checkpoint.
struct Checkpoint {
    /// `config.json`, without the common keys.
    config: Value,
    /// The tensors of layer 0, and so on, without the norms of the hidden width; names are relative to the layer.
    layers: [Vec<(String, Vec<usize>)>; N_LAYERS],
    /// The norms of a layer with the hidden width.
    norms: [&'static str; 2],
    /// The name of the last norm.
    output_norm: &'static str,
}

fn linear(name: &str, rows: usize, columns: usize) -> (String, Vec<usize>) {
    (format!("{name}.weight"), vec![rows, columns])
}

/// The projections of an attention with two key heads, and the norms of its heads.
fn attention([output, query_norm, key_norm]: [&str; 3]) -> Vec<(String, Vec<usize>)> {
    let norm = |name: &str| (format!("self_attn.{name}.weight"), vec![HEAD]);
    vec![
        linear("self_attn.q_proj", HIDDEN, HIDDEN),
        linear("self_attn.k_proj", 2 * HEAD, HIDDEN),
        linear("self_attn.v_proj", 2 * HEAD, HIDDEN),
        linear(&format!("self_attn.{output}"), HIDDEN, HIDDEN),
        norm(query_norm),
        norm(key_norm),
    ]
}

fn experts() -> Checkpoint {
    let mut layer = attention(["o_proj", "q_norm", "k_norm"]);
    layer.push(linear("mlp.gate", N_EXPERTS, HIDDEN));
    for expert in 0..N_EXPERTS {
        for projection in ["gate_proj", "up_proj", "down_proj"] {
            layer.push(linear(&format!("mlp.experts.{expert}.{projection}"), HIDDEN, HIDDEN));
        }
    }
    Checkpoint {
        config: json!({
            "architectures": ["Qwen3MoeForCausalLM"],
            "num_experts": N_EXPERTS, "num_experts_per_tok": 2, "moe_intermediate_size": HIDDEN,
            "norm_topk_prob": true, "decoder_sparse_step": 1, "mlp_only_layers": [],
        }),
        layers: [layer.clone(), layer],
        norms: ["input_layernorm", "post_attention_layernorm"],
        output_norm: "norm",
    }
}

fn convolutions() -> Checkpoint {
    let feed_forward = ["w1", "w2", "w3"].map(|name| linear(&format!("feed_forward.{name}"), HIDDEN, HIDDEN));
    let convolution = [
        linear("conv.in_proj", 3 * HIDDEN, HIDDEN),
        ("conv.conv.weight".to_owned(), vec![HIDDEN, 1, 3]),
        linear("conv.out_proj", HIDDEN, HIDDEN),
    ];
    let attention = attention(["out_proj", "q_layernorm", "k_layernorm"]);
    Checkpoint {
        config: json!({
            "architectures": ["Lfm2ForCausalLM"],
            "layer_types": ["conv", "full_attention"], "conv_L_cache": 3, "conv_bias": false,
            "block_auto_adjust_ff_dim": false, "norm_eps": 1e-5,
        }),
        layers: [[&convolution[..], &feed_forward].concat(), [&attention[..], &feed_forward].concat()],
        norms: ["operator_norm", "ffn_norm"],
        output_norm: "embedding_norm",
    }
}

impl Checkpoint {
    /// Writes the checkpoint with the demo's tokenizer.
    fn write(&self, demo: &Path, folder: &Path) {
        fs::create_dir_all(folder).unwrap();
        for name in ["tokenizer.json", "tokenizer_config.json"] {
            copy(&demo.join(name), &folder.join(name));
        }
        let mut config = json!({
            "hidden_size": HIDDEN, "head_dim": HEAD, "intermediate_size": HIDDEN, "vocab_size": N_TOKENS,
            "num_hidden_layers": N_LAYERS, "num_attention_heads": HIDDEN / HEAD, "num_key_value_heads": 2,
            "max_position_embeddings": 512, "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "hidden_act": "silu",
            "bos_token_id": 4091, "eos_token_id": 4095, "tie_word_embeddings": true, "torch_dtype": "bfloat16",
        });
        config.as_object_mut().unwrap().extend(self.config.as_object().unwrap().clone());
        fs::write(folder.join("config.json"), config.to_string()).unwrap();
        fs::write(folder.join("model.safetensors"), noise(&self.tensors())).unwrap();
    }

    fn tensors(&self) -> Vec<(String, Vec<usize>)> {
        let mut tensors = vec![
            linear("model.embed_tokens", N_TOKENS, HIDDEN),
            (format!("model.{}.weight", self.output_norm), vec![HIDDEN]),
        ];
        for (layer, listed) in self.layers.iter().enumerate() {
            let prefix = |name: &str| format!("model.layers.{layer}.{name}");
            tensors.extend(self.norms.map(|norm| (prefix(&format!("{norm}.weight")), vec![HIDDEN])));
            tensors.extend(listed.iter().map(|(name, shape)| (prefix(name), shape.clone())));
        }
        tensors
    }
}

/// A safetensors file with these tensors in BF16: noise with magnitudes up to 1/8, and norms around 1. F16 represents
/// it exactly.
fn noise(tensors: &[(String, Vec<usize>)]) -> Vec<u8> {
    let (mut header, mut data, mut random) = (Map::new(), Vec::new(), Random(1));
    for (name, shape) in tensors {
        let start = data.len();
        for _ in 0..shape.iter().product() {
            let number = random.below(1 << 10) as u16;
            let bits = match shape.len() {
                1 => 0x3f60 + number % 64,
                _ => ((number & 1) << 15) | (0x3c00 + (number >> 1)),
            };
            data.extend(bits.to_le_bytes());
        }
        let place = json!({ "dtype": "BF16", "shape": shape, "data_offsets": [start, data.len()] });
        header.insert(name.clone(), place);
    }
    let header = Value::Object(header).to_string().into_bytes();
    [&(header.len() as u64).to_le_bytes()[..], &header, &data].concat()
}

/// The demo with a package `kinds` of a checkpoint and the [`TARGETS`], on prefixes of the demo's texts.
fn sandbox(checkpoint: &Checkpoint) -> Sandbox {
    let sandbox = Sandbox::new();
    checkpoint.write(&sandbox.path("models/base"), &sandbox.path("kinds/tiny"));
    let write = |name: &str, from: &str, n_lines: usize| {
        let text = fs::read_to_string(sandbox.path("models/data").join(from)).unwrap();
        let mut start = String::new();
        for line in text.lines().take(n_lines) {
            writeln!(start, "{line}").unwrap();
        }
        fs::write(sandbox.path("kinds").join(name), start).unwrap();
    };
    write("calibration.txt", "calibration/prose.txt", 10);
    write("evaluation.txt", "evaluation/prose.txt", 10);
    write("questions.jsonl", "intents.jsonl", 2);
    fs::write(sandbox.path("kinds/package.kdl"), TARGETS).unwrap();
    sandbox
}

/// The answer of `mc run` to a prompt of three tokens.
fn answer(sandbox: &Sandbox, model: &str) -> Value {
    let options = ["--max-tokens", "4", "--ignore-end", "--prompt-logprobs", "--top", "20"];
    let arguments = [&["run", "--output", "json", model, "--ids", "70,1306,46"], &options[..]].concat();
    sandbox.mc(&arguments).exits(0).json()["answers"][0].clone()
}

/// Builds with imatrix and gates, and runs the checkpoint and the exported models.
fn build_and_ask(checkpoint: &Checkpoint) {
    let sandbox = sandbox(checkpoint);
    let built = sandbox.build(&["//kinds:q4km", "//kinds:f16"]);
    for kind in ["accuracy 2", "imatrix 1", "kl 1", "perplexity 2", "verdict 1"] {
        assert!(built.ran_by_kind().contains(kind), "{}", built.ran_by_kind());
    }
    let checks = sandbox.mc(&["test", "--output", "json", "//kinds:q4km.gate"]).exits(0).json();
    let checks = checks["gates"][0]["checks"].as_array().unwrap().clone();
    let divergence = checks.iter().find(|check| check["name"] == "kl").unwrap()["value"].as_f64().unwrap();
    assert!(divergence > 1e-5 && divergence < 0.5, "{divergence}");
    let of_checkpoint = answer(&sandbox, "//kinds:tiny");
    assert_eq!(of_checkpoint["tokens"].as_array().unwrap().len(), 4);
    assert_eq!(answer(&sandbox, "//kinds:f16"), of_checkpoint, "F16 holds the same numbers");
    assert_ne!(answer(&sandbox, "//kinds:q4km")["next"], of_checkpoint["next"]);
}

#[test]
fn a_mixture_of_experts_is_calibrated_measured_and_run() {
    build_and_ask(&experts());
}

#[test]
fn a_model_with_convolutions_is_calibrated_measured_and_run() {
    build_and_ask(&convolutions());
}
