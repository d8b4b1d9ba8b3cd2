//! A toy checkpoint of the Llama family, and a toy adapter: small, and the same bytes on every machine.
//!
//! The checkpoint has two layers of 256 columns and 264 tokens: the 256 bytes, three merges and five control tokens,
//! cut as Llama 3 cuts. Its layers are noise, but its head is not: it knows one follower for each token. The followers
//! make it answer `ok` to whatever it is asked, so that questions have a right answer without any training.
//!
//! The adapter is noise of rank 4 on all seven linear projections.

use std::fs;
use std::path::Path;

use safetensors::Dtype;
use safetensors::tensor::{TensorView, serialize_to_file};
use serde_json::{Value, json};

const N_LAYERS: usize = 2;
const N_COLUMNS: usize = 256;
const N_KV_ROWS: usize = 128;
const RANK: usize = 4;
const MERGES: [(&str, &str); 3] = [("h", "e"), ("Ġ", "t"), ("Ġt", "he")];
const CONTROLS: [&str; 5] =
    ["<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"];
const FIRST_CONTROL: usize = 256 + MERGES.len();
const N_TOKENS: usize = FIRST_CONTROL + CONTROLS.len();

/// Half the width of the noise in embeddings, in layers and in adapters.
const EMBEDDING: f32 = 0.5;
const LAYER: f32 = 0.02;
const ADAPTER: f32 = 0.05;
/// How much likelier the head makes the follower: about `e^6` times, after normalisation.
const FOLLOWER: f32 = 0.08;

const SPLIT: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const CHAT: &str = "{{- bos_token }}{%- for message in messages %}{{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n' + message['content'] | trim + '<|eot_id|>' }}{%- endfor %}{%- if add_generation_prompt %}{{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{%- endif %}";
const LICENCE: &str = "Everyone may do anything with these toys.\n";

/// Writes the checkpoint into a new folder.
pub(crate) fn write_checkpoint(folder: &Path) {
    fs::create_dir_all(folder).unwrap();
    let mut noise = Noise(1);
    let mut tensors = Tensors::default();
    let embedding = noise.numbers(N_TOKENS * N_COLUMNS, EMBEDDING);
    tensors.add("lm_head.weight", &[N_TOKENS, N_COLUMNS], &head(&embedding));
    tensors.add("model.embed_tokens.weight", &[N_TOKENS, N_COLUMNS], &embedding);
    tensors.add("model.norm.weight", &[N_COLUMNS], &noise.norm());
    for layer in 0..N_LAYERS {
        let prefix = format!("model.layers.{layer}");
        for norm in ["input_layernorm", "post_attention_layernorm"] {
            tensors.add(&format!("{prefix}.{norm}.weight"), &[N_COLUMNS], &noise.norm());
        }
        for (module, n_rows) in modules() {
            let values = noise.numbers(n_rows * N_COLUMNS, LAYER);
            tensors.add(&format!("{prefix}.{module}.weight"), &[n_rows, N_COLUMNS], &values);
        }
    }
    tensors.write(&folder.join("model.safetensors"));
    write_json(&folder.join("config.json"), &config());
    write_json(&folder.join("tokenizer.json"), &tokenizer());
    let tokens = json!({ "bos_token": CONTROLS[0], "eos_token": CONTROLS[4], "chat_template": CHAT });
    write_json(&folder.join("tokenizer_config.json"), &tokens);
    fs::write(folder.join("README.md"), "---\nlicense: other\n---\n# A toy\n").unwrap();
    fs::write(folder.join("LICENSE"), LICENCE).unwrap();
}

/// Writes the adapter into a new folder.
pub(crate) fn write_adapter(folder: &Path) {
    fs::create_dir_all(folder).unwrap();
    let mut noise = Noise(2);
    let mut tensors = Tensors::default();
    for layer in 0..N_LAYERS {
        for (module, n_rows) in modules() {
            let prefix = format!("base_model.model.model.layers.{layer}.{module}");
            let down = noise.numbers(RANK * N_COLUMNS, ADAPTER);
            tensors.add(&format!("{prefix}.lora_A.weight"), &[RANK, N_COLUMNS], &down);
            let up = noise.numbers(n_rows * RANK, ADAPTER);
            tensors.add(&format!("{prefix}.lora_B.weight"), &[n_rows, RANK], &up);
        }
    }
    tensors.write(&folder.join("adapter_model.safetensors"));
    let targets = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"];
    let config = json!({
        "base_model_name_or_path": "toy",
        "bias": "none",
        "lora_alpha": 2 * RANK,
        "peft_type": "LORA",
        "r": RANK,
        "target_modules": targets,
        "task_type": "CAUSAL_LM",
    });
    write_json(&folder.join("adapter_config.json"), &config);
}

/// The linear projections of a layer, each with its rows.
fn modules() -> [(&'static str, usize); 7] {
    [
        ("self_attn.q_proj", N_COLUMNS),
        ("self_attn.k_proj", N_KV_ROWS),
        ("self_attn.v_proj", N_KV_ROWS),
        ("self_attn.o_proj", N_COLUMNS),
        ("mlp.gate_proj", N_COLUMNS),
        ("mlp.up_proj", N_COLUMNS),
        ("mlp.down_proj", N_COLUMNS),
    ]
}

/// The head's row of a token is the embedding of the token that it follows.
fn head(embedding: &[f32]) -> Vec<f32> {
    let mut head = vec![0.0; embedding.len()];
    for token in 0..N_TOKENS {
        let follower = follower(token);
        let source = &embedding[token * N_COLUMNS..][..N_COLUMNS];
        for (to, from) in head[follower * N_COLUMNS..][..N_COLUMNS].iter_mut().zip(source) {
            *to += FOLLOWER * from;
        }
    }
    head
}

/// The end of a line is followed by `o`, that by `k`, and that by the end of the turn; anything else by its neighbour.
fn follower(token: usize) -> usize {
    let id = |letter: char| alphabet().iter().position(|found| *found == letter).unwrap();
    match token {
        _ if token == id('Ċ') => id('o'),
        _ if token == id('o') => id('k'),
        _ if token == id('k') => N_TOKENS - 1,
        _ => (token + 1) % N_TOKENS,
    }
}

/// The letter that stands for each byte in byte-level text, in the order of GPT-2's vocabulary.
fn alphabet() -> Vec<char> {
    let is_shown = |byte: u32| (33..=126).contains(&byte) || (161..=172).contains(&byte) || byte >= 174;
    let shown = (0..256).filter(|byte| is_shown(*byte));
    let n_hidden = (0..256).filter(|byte| !is_shown(*byte)).count() as u32;
    shown.chain(256..256 + n_hidden).map(|code| char::from_u32(code).unwrap()).collect()
}

fn config() -> Value {
    json!({
        "architectures": ["LlamaForCausalLM"],
        "bos_token_id": FIRST_CONTROL,
        "eos_token_id": N_TOKENS - 1,
        "hidden_act": "silu",
        "hidden_size": N_COLUMNS,
        "intermediate_size": N_COLUMNS,
        "max_position_embeddings": 256,
        "model_type": "llama",
        "num_attention_heads": 4,
        "num_hidden_layers": N_LAYERS,
        "num_key_value_heads": 2,
        "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0,
        "tie_word_embeddings": false,
        "torch_dtype": "bfloat16",
        "vocab_size": N_TOKENS,
    })
}

fn tokenizer() -> Value {
    let bytes = alphabet().into_iter().map(String::from);
    let merged = MERGES.iter().map(|(left, right)| format!("{left}{right}"));
    let vocab: serde_json::Map<String, Value> =
        (0..).zip(bytes.chain(merged)).map(|(id, piece)| (piece, json!(id as u32))).collect();
    let control = |(id, content): (usize, &&str)| json!({ "id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true });
    let controls: Vec<Value> = (FIRST_CONTROL..).zip(&CONTROLS).map(control).collect();
    json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": controls,
        "normalizer": null,
        "pre_tokenizer": { "type": "Sequence", "pretokenizers": [
            { "type": "Split", "pattern": { "Regex": SPLIT }, "behavior": "Isolated", "invert": false },
            { "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false },
        ] },
        "post_processor": { "type": "TemplateProcessing",
            "single": [
                { "SpecialToken": { "id": CONTROLS[0], "type_id": 0 } },
                { "Sequence": { "id": "A", "type_id": 0 } },
            ],
            "pair": [
                { "SpecialToken": { "id": CONTROLS[0], "type_id": 0 } },
                { "Sequence": { "id": "A", "type_id": 0 } },
                { "Sequence": { "id": "B", "type_id": 0 } },
            ],
            "special_tokens": {
                CONTROLS[0]: { "id": CONTROLS[0], "ids": [FIRST_CONTROL], "tokens": [CONTROLS[0]] },
            },
        },
        "decoder": { "type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true },
        "model": {
            "type": "BPE",
            "dropout": null,
            "unk_token": null,
            "continuing_subword_prefix": null,
            "end_of_word_suffix": null,
            "fuse_unk": false,
            "byte_fallback": false,
            "ignore_merges": true,
            "vocab": vocab,
            "merges": MERGES.map(|(left, right)| [left, right]),
        },
    })
}

fn write_json(path: &Path, value: &Value) {
    fs::write(path, serde_json::to_string_pretty(value).unwrap() + "\n").unwrap();
}

/// Tensors in BF16, on their way to a file.
#[derive(Default)]
struct Tensors(Vec<(String, Vec<usize>, Vec<u8>)>);

impl Tensors {
    fn add(&mut self, name: &str, shape: &[usize], values: &[f32]) {
        assert_eq!(values.len(), shape.iter().product::<usize>(), "{name}");
        // The upper half of an f32 is a bf16, rounded towards zero; all that matters here is that it is fixed.
        let bytes =
            values.iter().flat_map(|value| [(value.to_bits() >> 16) as u8, (value.to_bits() >> 24) as u8]);
        self.0.push((name.to_owned(), shape.to_vec(), bytes.collect()));
    }

    fn write(&self, path: &Path) {
        let views = self
            .0
            .iter()
            .map(|(name, shape, bytes)| (name, TensorView::new(Dtype::BF16, shape.clone(), bytes).unwrap()));
        serialize_to_file(views, None, path).unwrap();
    }
}

/// Numbers that look random, from a seed: splitmix64.
struct Noise(u64);

impl Noise {
    fn numbers(&mut self, count: usize, half_width: f32) -> Vec<f32> {
        (0..count).map(|_| self.next() * half_width).collect()
    }

    /// Weights of a norm: near 1, and no two norms the same.
    fn norm(&mut self) -> Vec<f32> {
        self.numbers(N_COLUMNS, 0.1).into_iter().map(|number| 1.0 + number).collect()
    }

    /// A number from -1 to 1.
    fn next(&mut self) -> f32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        // 24 bits fit an f32 exactly.
        ((mixed ^ (mixed >> 31)) >> 40) as f32 / (1 << 23) as f32 - 1.0
    }
}
