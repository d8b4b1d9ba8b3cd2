//! Compares each adapter option with a plain reference: to the bit in f32, within one unit of bf16 in f64.
//!
//! If `MC_PEFT_GOLDEN` names a folder that holds `base/` and, for each option, `<option>/adapter/` and
//! `<option>/merged/` as PEFT 0.21 made them in f32 (or a separate `base/` of the option), those are
//! compared, too; a report is written to the folder of temporary files. The option of an embedding with a
//! tied head must be called `tied_embedding`: there PEFT's merge differs from the trained model, and only
//! `keep-tied` gives the same result.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

use mc_decoder::program::Head;
use mc_digest::digest::BlobDigest;
use mc_expression::expression::TensorExpr;
use mc_expression::operators::load::Load;
use mc_family::adapter::AdapterConfig;
use mc_family::families::for_config;
use mc_family::families::llama::Llama;
use mc_ir::action::{ActionContext, ActionError, Content, Input, Piece, Range64, Source};
use mc_ir::attribute::Place;
use mc_ir::label::{Label, PackageId};
use mc_ir::output::Output;
use mc_ir::rule_error::RuleError;
use mc_safetensors::header::Header;
use mc_tensor::convert;
use mc_tensor::dtype::DType;
use serde_json::{Value, json};

use crate::action::evaluation::evaluator;
use crate::source::adapter::{AdapterInfo, AdapterTokenizer};
use crate::source::model_info::{ModelFiles, ModelInfo, Weight};
use crate::source::weights::StoredTensor;
use crate::transform::adapter_reference::{Reference, Tensor, Tensors, bf16_units};
use crate::transform::adapter_weights::{AdaptedWeights, Application};

/// Files in memory: path and bytes.
type Files = BTreeMap<String, Arc<Vec<u8>>>;

struct Memory<'a> {
    files: &'a Files,
    inputs: &'a [Input],
}

impl ActionContext for Memory<'_> {
    fn input(&self, index: usize) -> Result<Content, ActionError> {
        let Input::Source(Source { path, range: Some(range) }) = &self.inputs[index] else {
            panic!("every input is a part of a file");
        };
        let bytes = Arc::clone(&self.files[path.to_str().unwrap()]);
        let piece = Piece { bytes, range: range.start as usize..range.end as usize };
        Ok(Content { parts: vec![piece] })
    }

    fn input_digest(&self, _index: usize) -> Output {
        unreachable!("evaluating asks for no digest")
    }

    fn write_blob(
        &self,
        _write: &mut dyn FnMut(&mut dyn io::Write) -> Result<(), ActionError>,
    ) -> Result<BlobDigest, ActionError> {
        unreachable!("evaluating stores nothing")
    }

    fn is_cancelled(&self) -> bool {
        false
    }
}

/// Returns a file of these tensors, one after another, and the location of each.
fn file(name: &str, tensors: &Tensors, dtype: DType) -> (Vec<u8>, Vec<StoredTensor>) {
    let mut bytes = Vec::new();
    let mut stored = Vec::new();
    for (tensor, Tensor { shape, values }) in tensors {
        let start = bytes.len() as u64;
        bytes.resize(bytes.len() + values.len() * dtype.n_bytes(), 0);
        convert::from_f32(dtype, values, &mut bytes[start as usize..]);
        let source = Source {
            path: Arc::from(Path::new(name)),
            range: Some(Range64 { start, end: bytes.len() as u64 }),
        };
        let (name, file) = (tensor.clone(), name.to_owned());
        stored.push(StoredTensor { name, dtype, shape: shape.clone(), source, file });
    }
    (bytes, stored)
}

fn label(name: &str) -> Label {
    Label::new(PackageId("models".to_owned()), name)
}

fn source(path: &str) -> Source {
    Source { path: Arc::from(Path::new(path)), range: None }
}

fn model(config: &Value, stored: &[StoredTensor]) -> ModelInfo {
    let family = for_config(config).unwrap();
    let weight = |stored: &StoredTensor| Weight {
        // The tests' family has no tensors for experts; any purpose will do, because adapters go by names.
        tensor: family
            .tensor(&stored.name)
            .unwrap_or(mc_tensor::model_tensor::ModelTensor::FfnDownExps { block: 0 }),
        part: None,
        name: stored.name.clone(),
        dtype: stored.dtype,
        expression: TensorExpr::new(Load { input: 0, dtype: stored.dtype, shape: stored.shape.clone() }),
        inputs: vec![Input::Source(stored.source.clone())],
    };
    let nowhere = source("nowhere");
    ModelInfo {
        name: "base".to_owned(),
        family: family.name(),
        about: Arc::default(),
        factors: [].into(),
        known_as: Vec::new(),
        is_quantized: false,
        decoder: family.decoder(config).unwrap(),
        weights: stored.iter().map(weight).collect(),
        files: ModelFiles::of(nowhere.clone(), nowhere),
        lineage: [].into(),
    }
}

/// An adapter and the options with which it is applied.
struct Given {
    config: Value,
    tensors: Tensors,
    scale: f64,
    keeps_tied: bool,
    has_tokenizer: bool,
}

struct Merged {
    tensors: Tensors,
    head: Head,
    n_vocab: u32,
}

/// Merges as the rule does and evaluates every weight, `n_rows` rows at a time.
fn merge(
    config: &Value,
    base: &Tensors,
    dtype: DType,
    adapters: &[Given],
    n_rows: u64,
) -> Result<Merged, Vec<RuleError>> {
    let mut files = Files::new();
    let (bytes, stored) = file("base", base, dtype);
    files.insert("base".to_owned(), Arc::new(bytes));
    let mut info = model(config, &stored);
    let mut weights = AdaptedWeights::new(&info);
    for (index, given) in adapters.iter().enumerate() {
        let name = format!("adapter.{index}");
        let (bytes, tensors) = file(&name, &given.tensors, DType::F32);
        files.insert(name.clone(), Arc::new(bytes));
        let adapter = AdapterInfo {
            base: label("base"),
            model: info.clone(),
            config: AdapterConfig::from_json(&given.config.to_string()).unwrap(),
            tensors,
            tokenizer: given.has_tokenizer.then(|| AdapterTokenizer::alone(source("adapter/tokenizer.json"))),
            licenses: Vec::new(),
            is_of_any_base: false,
            card: crate::source::front_matter::FrontMatter::default(),
            published: crate::source::about::Published::default(),
        };
        let rule_error = |code: &'static str, message: String| RuleError::new(Place(0), code, message);
        let application = Application {
            adapter: &adapter,
            scale: given.scale,
            keeps_tied: given.keeps_tied,
            rule_error: &rule_error,
        };
        weights.apply(&mut info, &Llama, &application)?;
    }
    let weights = weights.finish();
    let tensors = weights.iter().map(|weight| (weight.name.clone(), evaluate(weight, &files, n_rows)));
    Ok(Merged { tensors: tensors.collect(), head: info.decoder.head, n_vocab: info.decoder.n_vocab })
}

fn evaluate(weight: &Weight, files: &Files, n_rows: u64) -> Tensor {
    let evaluator = evaluator(&weight.expression, &Memory { files, inputs: &weight.inputs }).unwrap();
    let mut values = Vec::new();
    for first in (0..evaluator.n_rows()).step_by(n_rows as usize) {
        let n_tile = n_rows.min(evaluator.n_rows() - first) as usize;
        let mut tile = vec![0.0; n_tile * evaluator.n_cols()];
        evaluator.rows(first, &mut tile).unwrap();
        values.extend(tile);
    }
    Tensor { shape: weight.shape(), values }
}

/// Returns pseudo-random numbers.
fn noise(seed: u64, count: usize) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((state >> 40) as f32) / (1 << 24) as f32 - 0.5
    };
    (0..count).map(|_| next()).collect()
}

const N_TOKENS: u64 = 11;
const WIDTH: u64 = 40;

fn tensors(list: &[(&str, &[u64])]) -> Tensors {
    let tensor = |(seed, (name, shape)): (usize, &(&str, &[u64]))| {
        let values = noise(seed as u64 + 7 * name.len() as u64, shape.iter().product::<u64>() as usize);
        ((*name).to_owned(), Tensor { shape: shape.to_vec(), values })
    };
    list.iter().enumerate().map(tensor).collect()
}

fn base_config(is_tied: bool) -> Value {
    json!({
        "architectures": ["LlamaForCausalLM"], "hidden_size": WIDTH, "intermediate_size": 24,
        "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 20, "num_hidden_layers": 1,
        "max_position_embeddings": 16, "rms_norm_eps": 1e-5, "vocab_size": N_TOKENS,
        "tie_word_embeddings": is_tied, "attention_bias": true,
    })
}

const EMBEDDING: &str = "model.embed_tokens.weight";
const HEAD: &str = "lm_head.weight";

fn base(is_tied: bool) -> Tensors {
    let mut base = tensors(&[
        (EMBEDDING, &[N_TOKENS, WIDTH]),
        ("model.layers.0.self_attn.q_proj.weight", &[40, WIDTH]),
        ("model.layers.0.self_attn.q_proj.bias", &[40]),
        ("model.layers.0.mlp.down_proj.weight", &[WIDTH, 24]),
        ("model.norm.weight", &[WIDTH]),
    ]);
    if !is_tied {
        base.extend(tensors(&[(HEAD, &[N_TOKENS, WIDTH])]));
    }
    base
}

fn given(changes: Value, parts: &[(&str, &[u64])]) -> Given {
    let mut config = json!({ "peft_type": "LORA", "r": 5, "lora_alpha": 7 });
    config.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    let named: Vec<(String, &[u64])> =
        parts.iter().map(|(name, shape)| (format!("base_model.model.{name}"), *shape)).collect();
    let named: Vec<(&str, &[u64])> = named.iter().map(|(name, shape)| (name.as_str(), *shape)).collect();
    Given { config, tensors: tensors(&named), scale: 1.0, keeps_tied: false, has_tokenizer: false }
}

/// Compares every weight with both references.
fn check(adapters: &[Given]) {
    let base = base(false);
    for dtype in [DType::F32, DType::BF16] {
        let stored: Tensors = base
            .iter()
            .map(|(name, tensor)| {
                let mut tensor = tensor.clone();
                convert::round_through(dtype, &mut tensor.values);
                (name.clone(), tensor)
            })
            .collect();
        let merged = merge(&base_config(false), &base, dtype, adapters, 3).unwrap().tensors;
        assert_eq!(merged, merge(&base_config(false), &base, dtype, adapters, 1000).unwrap().tensors);
        let mut n_changed = 0;
        for (name, found) in &merged {
            let apply = |round: fn(f64) -> f64| {
                let mut weight: Vec<f64> =
                    stored[name].values.iter().map(|value| f64::from(*value)).collect();
                for given in adapters {
                    let reference = Reference { round, tensors: &given.tensors, config: &given.config };
                    reference.weight(name, &mut weight, &found.shape, given.scale);
                }
                weight
            };
            let mut plain: Vec<f32> =
                apply(|value| f64::from(value as f32)).into_iter().map(|value| value as f32).collect();
            convert::round_through(dtype, &mut plain);
            let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
            assert_eq!(bits(&found.values), bits(&plain), "{name} in {dtype}");
            for (found, exact) in found.values.iter().zip(apply(|value| value)) {
                let units = bf16_units(*found, exact);
                assert!(units <= 1.0, "{name} in {dtype}: {found} is {units} units from {exact}");
            }
            n_changed += usize::from(*found != stored[name]);
        }
        assert!(n_changed > 0, "the adapters change nothing");
    }
}

const Q_PAIR: [(&str, &[u64]); 2] = [
    ("model.layers.0.self_attn.q_proj.lora_A.weight", &[5, WIDTH]),
    ("model.layers.0.self_attn.q_proj.lora_B.weight", &[40, 5]),
];

fn with(parts: &[(&'static str, &'static [u64])]) -> Vec<(&'static str, &'static [u64])> {
    Q_PAIR.iter().chain(parts).copied().collect()
}

#[test]
fn plain_and_rank_stabilised_pairs_are_exact() {
    check(&[given(json!({}), &Q_PAIR)]);
    check(&[given(json!({ "use_rslora": true }), &Q_PAIR)]);
}

#[test]
fn dora_is_exact() {
    let parts = with(&[
        ("model.layers.0.self_attn.q_proj.lora_magnitude_vector", &[40]),
        ("model.layers.0.mlp.down_proj.lora_A.weight", &[5, 24]),
        ("model.layers.0.mlp.down_proj.lora_B.weight", &[WIDTH, 5]),
        ("model.layers.0.mlp.down_proj.lora_magnitude_vector", &[WIDTH]),
    ]);
    check(&[given(json!({ "use_dora": true }), &parts)]);
}

#[test]
fn embeddings_are_exact_with_and_without_dora() {
    let embedding: [(&str, &[u64]); 2] = [
        ("model.embed_tokens.lora_embedding_A", &[5, N_TOKENS]),
        ("model.embed_tokens.lora_embedding_B", &[WIDTH, 5]),
    ];
    check(&[given(json!({}), &embedding)]);
    let lengths: [(&str, &[u64]); 1] = [("model.embed_tokens.lora_magnitude_vector", &[WIDTH])];
    check(&[given(json!({ "use_dora": true }), &[&embedding[..], &lengths].concat())]);
}

#[test]
fn whole_modules_and_what_lies_under_an_adapter_replace_the_bases() {
    let parts = with(&[
        ("lm_head.weight", &[N_TOKENS, WIDTH]),
        ("model.norm.weight", &[WIDTH]),
        ("model.embed_tokens.base_layer.weight", &[N_TOKENS, WIDTH]),
        ("model.embed_tokens.lora_embedding_A", &[5, N_TOKENS]),
        ("model.embed_tokens.lora_embedding_B", &[WIDTH, 5]),
    ]);
    check(&[given(json!({ "modules_to_save": ["lm_head", "norm"] }), &parts)]);
}

#[test]
fn biases_are_exact() {
    check(&[given(
        json!({ "lora_bias": true }),
        &with(&[("model.layers.0.self_attn.q_proj.lora_B.bias", &[40])]),
    )]);
    for name in ["model.layers.0.self_attn.q_proj.base_layer.bias", "model.layers.0.self_attn.q_proj.bias"] {
        check(&[given(json!({ "bias": "all" }), &[Q_PAIR[0], Q_PAIR[1], (name, &[40])])]);
    }
}

#[test]
fn trained_tokens_are_exact() {
    let parts = with(&[
        ("model.embed_tokens.token_adapter.trainable_tokens_delta", &[3, WIDTH]),
        ("lm_head.token_adapter.trainable_tokens_delta", &[1, WIDTH]),
    ]);
    let indices = json!({ "trainable_token_indices": { "embed_tokens": [9, 0, 4], "lm_head": [2] } });
    check(&[given(indices, &parts)]);
}

#[test]
fn several_adapters_are_added_in_their_order_and_rounded_once() {
    let weighted = |changes: Value, scale: f64, seed: usize| {
        let mut given = given(changes, &Q_PAIR);
        given.tensors.values_mut().for_each(|tensor| tensor.values.rotate_left(seed));
        Given { scale, ..given }
    };
    check(&[
        weighted(json!({}), 0.7, 0),
        weighted(json!({ "use_rslora": true }), 0.3, 3),
        weighted(json!({ "lora_alpha": 3 }), -0.1, 5),
    ]);
}

#[test]
fn a_transposed_weight_gets_the_transposed_product() {
    let down = "model.layers.0.mlp.down_proj";
    let mut swapped = base(false);
    let parts: [(&str, &[u64]); 2] = [
        ("model.layers.0.mlp.down_proj.lora_A.weight", &[5, 24]),
        ("model.layers.0.mlp.down_proj.lora_B.weight", &[WIDTH, 5]),
    ];
    let turned = |tensor: &Tensor| {
        let (n_rows, n_cols) = (tensor.shape[0] as usize, tensor.shape[1] as usize);
        let value = |index: usize| tensor.values[index % n_rows * n_cols + index / n_rows];
        Tensor {
            shape: vec![tensor.shape[1], tensor.shape[0]],
            values: (0..n_rows * n_cols).map(value).collect(),
        }
    };
    let weight = format!("{down}.weight");
    swapped.insert(weight.clone(), turned(&base(false)[&weight]));
    let config = base_config(false);
    let plain = merge(&config, &base(false), DType::F32, &[given(json!({}), &parts)], 3).unwrap();
    let given = given(json!({ "fan_in_fan_out": true }), &parts);
    let merged = merge(&config, &swapped, DType::F32, &[given], 3).unwrap();
    assert_eq!(turned(&plain.tensors[&weight]), merged.tensors[&weight]);
}

#[test]
fn each_expert_of_a_stack_gets_its_own_product() {
    let (n_experts, rank, inputs, outputs) = (3, 5, 8, 6);
    let stack = "model.layers.0.mlp.experts.gate_up_proj";
    for is_input_first in [true, false] {
        let shape: &[u64] = if is_input_first { &[3, 8, 6] } else { &[3, 6, 8] };
        let mut stacked = base(false);
        stacked.extend(tensors(&[(stack, shape)]));
        let parts: [(&str, &[u64]); 2] = [
            ("model.layers.0.mlp.experts.lora_A.weight", &[15, 8]),
            ("model.layers.0.mlp.experts.lora_B.weight", &[6, 15]),
        ];
        let given = given(json!({ "target_parameters": ["experts.gate_up_proj"] }), &parts);
        let a = given.tensors["base_model.model.model.layers.0.mlp.experts.lora_A.weight"].values.clone();
        let b = given.tensors["base_model.model.model.layers.0.mlp.experts.lora_B.weight"].values.clone();
        let merged = merge(&base_config(false), &stacked, DType::F32, &[given], 5).unwrap();
        let (found, before) = (&merged.tensors[stack].values, &stacked[stack].values);
        for expert in 0..n_experts {
            for input in 0..inputs {
                for output in 0..outputs {
                    let place = match is_input_first {
                        true => (expert * inputs + input) * outputs + output,
                        false => (expert * outputs + output) * inputs + input,
                    };
                    // `einsum("o r e, e r i")` in PEFT.
                    let product: f64 = (0..rank)
                        .map(|k| {
                            f64::from(b[output * rank * n_experts + k * n_experts + expert])
                                * f64::from(a[(expert * rank + k) * inputs + input])
                        })
                        .sum();
                    let exact = f64::from(before[place]) + product * f64::from(7.0_f32 / 5.0);
                    assert!((f64::from(found[place]) - exact).abs() < 1e-6);
                }
            }
        }
    }
}

#[test]
fn a_tied_head_is_what_training_saw() {
    let config = base_config(true);
    let base = base(true);
    let before = &base[EMBEDDING];
    let lora: [(&str, &[u64]); 2] = [
        ("model.embed_tokens.lora_embedding_A", &[5, N_TOKENS]),
        ("model.embed_tokens.lora_embedding_B", &[WIDTH, 5]),
    ];
    let saved_embedding: [(&str, &[u64]); 1] = [("model.embed_tokens.weight", &[N_TOKENS, WIDTH])];
    let saved_head: [(&str, &[u64]); 1] = [("lm_head.weight", &[N_TOKENS, WIDTH])];
    let merged = |given: Given| merge(&config, &base, DType::F32, &[given], 3).unwrap();

    for given in
        [given(json!({}), &lora), given(json!({ "modules_to_save": ["embed_tokens"] }), &saved_embedding)]
    {
        let merged = merged(given);
        assert_eq!(merged.head, Head::Untied);
        assert_eq!(merged.tensors[HEAD], *before);
        assert_ne!(merged.tensors[EMBEDDING], *before);
    }
    let with_head = merged(given(json!({ "modules_to_save": ["lm_head"] }), &saved_head));
    assert_eq!(with_head.head, Head::Untied);
    assert_eq!(with_head.tensors[EMBEDDING], *before);
    assert_ne!(with_head.tensors[HEAD], *before);

    let kept = Given { keeps_tied: true, ..given(json!({}), &lora) };
    let ensured = given(json!({ "ensure_weight_tying": true }), &lora);
    let rows = given(
        json!({ "trainable_token_indices": [1] }),
        &[("model.embed_tokens.token_adapter.trainable_tokens_delta", &[1, WIDTH])],
    );
    for given in [kept, ensured, rows] {
        let merged = merged(given);
        assert_eq!(merged.head, Head::Tied);
        assert!(!merged.tensors.contains_key(HEAD));
        assert_ne!(merged.tensors[EMBEDDING], *before);
    }
    let untouched = merged(given(json!({}), &Q_PAIR));
    assert!(untouched.head == Head::Tied && !untouched.tensors.contains_key(HEAD));
}

#[test]
fn added_tokens_extend_the_vocabulary() {
    let embedding: (&str, &[u64]) = ("model.embed_tokens.weight", &[N_TOKENS + 2, WIDTH]);
    let head: (&str, &[u64]) = ("lm_head.weight", &[N_TOKENS + 2, WIDTH]);
    let grown = |is_tied: bool, parts: &[(&str, &[u64])]| {
        let given = Given { has_tokenizer: true, ..given(json!({}), parts) };
        merge(&base_config(is_tied), &base(is_tied), DType::BF16, &[given], 3).unwrap()
    };
    let untied = grown(false, &[embedding, head]);
    assert_eq!((untied.n_vocab, untied.head), (13, Head::Untied));
    assert_eq!(untied.tensors[HEAD].shape, [13, WIDTH]);
    // A tied head grows with the embedding.
    let tied = grown(true, &[embedding]);
    assert_eq!((tied.n_vocab, tied.head), (13, Head::Tied));

    let mut files = model(&base_config(true), &[]).files;
    files.chat_template = Some(source("base/chat_template.jinja"));
    AdapterTokenizer::alone(source("adapter/tokenizer.json")).replace(&mut files);
    assert_eq!(files.tokenizer, Some(source("adapter/tokenizer.json")));
    assert_eq!((files.config, files.chat_template), (Some(source("nowhere")), None));
}

#[test]
fn overwritten_changes_and_unscalable_adapters_are_refused() {
    let codes = |is_tied: bool, adapters: &[Given]| -> Vec<&'static str> {
        let rule_errors =
            merge(&base_config(is_tied), &base(is_tied), DType::F32, adapters, 3).err().unwrap();
        rule_errors.iter().map(|rule_error| rule_error.code).collect()
    };
    let dora = || {
        given(
            json!({ "use_dora": true }),
            &with(&[("model.layers.0.self_attn.q_proj.lora_magnitude_vector", &[40])]),
        )
    };
    assert_eq!(codes(false, &[Given { scale: 0.5, ..dora() }]), ["merge::scale"]);
    let whole =
        || given(json!({ "modules_to_save": ["lm_head"] }), &[("lm_head.weight", &[N_TOKENS, WIDTH])]);
    assert_eq!(codes(false, &[Given { scale: 0.5, ..whole() }]), ["merge::scale"]);
    let head = given(
        json!({}),
        &[("lm_head.lora_A.weight", &[5, WIDTH]), ("lm_head.lora_B.weight", &[N_TOKENS, 5])],
    );
    assert_eq!(codes(false, &[head, whole()]), ["merge::lost"]);
    assert_eq!(codes(true, &[Given { keeps_tied: true, ..whole() }]), ["merge::tied"]);
    let resized: [(&str, &[u64]); 1] = [("model.embed_tokens.weight", &[N_TOKENS + 2, WIDTH])];
    assert_eq!(codes(false, &[given(json!({}), &resized)]), ["merge::tokens"]);
    assert_eq!(codes(true, &[given(json!({}), &resized)]), ["merge::tokens"]);
    let foreign = given(json!({}), &[("model.layers.5.mlp.down_proj.weight", &[WIDTH, 24])]);
    assert_eq!(codes(false, &[foreign]), ["merge::adapter"]);
}

/// Reads the tensors of a safetensors file, as f32.
fn read(path: &Path) -> Tensors {
    let bytes = fs::read(path).unwrap();
    let header = Header::parse(&bytes, bytes.len() as u64).unwrap();
    let tensor = |info: &mc_safetensors::header::TensorInfo| {
        let mut values = vec![0.0; info.shape.iter().product::<u64>() as usize];
        convert::to_f32(info.dtype, &bytes[info.start as usize..info.end as usize], &mut values);
        (info.name.clone(), Tensor { shape: info.shape.clone(), values })
    };
    header.tensors.iter().map(tensor).collect()
}

fn json_file(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

#[test]
fn merges_agree_with_those_of_peft_if_given() {
    let Some(root) = std::env::var_os("MC_PEFT_GOLDEN") else { return };
    let root = Path::new(&root);
    let mut report = String::new();
    let mut folders: Vec<_> = fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.sort();
    for folder in folders.iter().filter(|folder| folder.join("merged").is_dir()) {
        let option = folder.file_name().unwrap().to_str().unwrap();
        let own = folder.join("base");
        let base_folder = if own.is_dir() { own } else { root.join("base") };
        let (config, base) =
            (json_file(&base_folder.join("config.json")), read(&base_folder.join("model.safetensors")));
        let adapter = |name: &str, scale: f64| {
            let folder = root.join(name).join("adapter");
            let config = json_file(&folder.join("adapter_config.json"));
            let tensors = read(&folder.join("adapter_model.safetensors"));
            Given { config, tensors, scale, keeps_tied: option == "tied_embedding", has_tokenizer: false }
        };
        let adapters = match option {
            "plain_0.7_plain_b_0.3" => vec![adapter("plain", 0.7), adapter("plain_b", 0.3)],
            _ => vec![adapter(option, 1.0)],
        };
        let expected = read(&folder.join("merged/model.safetensors"));
        let merged = match merge(&config, &base, DType::F32, &adapters, 7) {
            Ok(merged) => merged,
            Err(rule_errors) => {
                report.push_str(&format!("{option}: {rule_errors:?}\n"));
                continue;
            }
        };
        let (mut largest, mut units, mut n_unequal, mut n_in_all) = (0.0_f64, 0.0_f64, 0, 0);
        for (name, found) in &merged.tensors {
            let expected = &expected[name];
            assert_eq!(found.shape, expected.shape, "{option} {name}");
            for (found, expected) in found.values.iter().zip(&expected.values) {
                largest = largest.max(f64::from((found - expected).abs()));
                units = units.max(bf16_units(*found, f64::from(*expected)));
                n_unequal += usize::from(found.to_bits() != expected.to_bits());
                n_in_all += 1;
            }
        }
        let head = merged.head;
        report.push_str(&format!(
            "{option}: largest difference {largest:e}, {units:.6} bf16 units, {n_unequal} of {n_in_all} unequal, {head:?}\n"
        ));
    }
    fs::write(std::env::temp_dir().join("mc-peft-report.txt"), &report).unwrap();
    let units = |line: &str| line.split(", ").nth(1)?.split(' ').next()?.parse::<f64>().ok();
    let is_wrong = |line: &str| units(line).is_none_or(|units| units > 1.0);
    assert!(!report.lines().any(is_wrong), "{report}");
}
