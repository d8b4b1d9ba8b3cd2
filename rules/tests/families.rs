//! Every family, from its configuration to the keys of a GGUF and back.

#[path = "../../compiler/family/tests/suite/configs.rs"]
mod configs;

use mc_decoder::program::Decoder;
use mc_decoder::vocabulary::{SpecialTokens, TokenType, Vocabulary, VocabularyKind};
use mc_exporter::change::Change;
use mc_exporter::exporter::Exporter;
use mc_exporter::model_description::{ModelDescription, TensorDescription};
use mc_family::families;
use mc_gguf::architecture::name_of;
use mc_gguf::exporter::GgufExporter;
use mc_gguf::keys::keys;
use mc_gguf::layout::{Layout, TensorPlan};
use mc_gguf::model;
use mc_gguf::model_facts::ModelFacts;
use mc_gguf::names::wire_name_in;
use mc_gguf::pre_tokenizers::named;
use mc_gguf::reader::Gguf;
use mc_gguf::rope_tensors;
use mc_gguf::tensor_type::by_name;
use mc_gguf::value::Value;
use mc_graph::rotary::RotaryScaling;
use mc_tensor::model_tensor::ModelTensor;
use serde_json::json;

fn vocabulary() -> Vocabulary {
    Vocabulary {
        kind: VocabularyKind::BytePair,
        pre_tokenizer: named("llama-bpe"),
        tokens: vec!["a".to_owned()],
        scores: Vec::new(),
        types: vec![TokenType::Normal],
        merges: Vec::new(),
        special: SpecialTokens::default(),
        space_prefix: None,
        chat_template: None,
        named_templates: Vec::new(),
    }
}

fn decoder(family: &str) -> (Decoder, Vec<(String, Value)>) {
    changed(family, &json!({}))
}

fn changed(family: &str, changes: &serde_json::Value) -> (Decoder, Vec<(String, Value)>) {
    let config = configs::with(family, changes);
    let decoder = families::by_name(family).unwrap().decoder(&config).unwrap();
    let has_head_dim = config.get("head_dim").is_some_and(|dim| !dim.is_null());
    let facts = ModelFacts { has_head_dim, ..ModelFacts::default() };
    let keys = keys(&decoder, &vocabulary(), &facts).unwrap();
    (decoder, keys)
}

/// Checks the keys between the general ones and those of the tokens.
fn check_keys(family: &str, expected: &[&str]) {
    let (_, keys) = decoder(family);
    let shown = |value: &Value| match value {
        Value::U32(number) => number.to_string(),
        Value::F32(number) => number.to_string(),
        Value::Text(text) => text.clone(),
        Value::Array(array) => {
            let items: Vec<String> = array.items().map(|item| format!("{item:?}")).collect();
            items.join(" ")
        }
        other => format!("{other:?}"),
    };
    let found: Vec<String> = keys
        .iter()
        .filter(|(name, _)| !name.starts_with("general.") && !name.starts_with("tokenizer."))
        .map(|(name, value)| format!("{name} {}", shown(value)))
        .collect();
    assert_eq!(found, expected, "{family}");
}

#[test]
fn keys_of_families_that_are_named_llama() {
    check_keys(
        "llama",
        &[
            "llama.block_count 2",
            "llama.context_length 1024",
            "llama.embedding_length 64",
            "llama.feed_forward_length 96",
            "llama.attention.head_count 4",
            "llama.attention.head_count_kv 2",
            "llama.rope.freq_base 50000",
            "llama.attention.layer_norm_rms_epsilon 0.000001",
            "llama.attention.key_length 16",
            "llama.attention.value_length 16",
            "llama.vocab_size 300",
            "llama.rope.dimension_count 16",
        ],
    );
    check_keys(
        "mixtral",
        &[
            "llama.block_count 2",
            "llama.context_length 1024",
            "llama.embedding_length 64",
            "llama.feed_forward_length 96",
            "llama.attention.head_count 4",
            "llama.attention.head_count_kv 2",
            "llama.rope.freq_base 50000",
            "llama.attention.layer_norm_rms_epsilon 0.000001",
            "llama.expert_count 3",
            "llama.expert_used_count 2",
            "llama.vocab_size 300",
            "llama.rope.dimension_count 16",
        ],
    );
}

#[test]
fn the_width_of_heads_is_written_where_transformers_fills_it_in() {
    let is_written = |family: &str| {
        let (_, keys) = changed(family, &json!({"head_dim": null}));
        let is_key = |name: &str| keys.iter().any(|(key, _)| key.ends_with(name));
        assert_eq!(is_key(".key_length"), is_key(".value_length"));
        is_key(".key_length")
    };
    let written: Vec<&str> =
        configs::all().iter().map(|(family, _)| *family).filter(|family| is_written(family)).collect();
    assert_eq!(written, ["llama", "mistral", "qwen3", "gemma2", "gemma3"]);
}

#[test]
fn keys_of_qwen() {
    check_keys(
        "qwen2",
        &[
            "qwen2.block_count 2",
            "qwen2.context_length 1024",
            "qwen2.embedding_length 64",
            "qwen2.feed_forward_length 96",
            "qwen2.attention.head_count 4",
            "qwen2.attention.head_count_kv 2",
            "qwen2.rope.scaling.type yarn",
            "qwen2.rope.scaling.factor 4",
            "qwen2.rope.scaling.original_context_length 256",
            "qwen2.rope.freq_base 50000",
            "qwen2.attention.layer_norm_rms_epsilon 0.000001",
        ],
    );
    check_keys(
        "qwen3moe",
        &[
            "qwen3moe.block_count 2",
            "qwen3moe.context_length 1024",
            "qwen3moe.embedding_length 64",
            "qwen3moe.feed_forward_length 96",
            "qwen3moe.attention.head_count 4",
            "qwen3moe.attention.head_count_kv 2",
            "qwen3moe.rope.freq_base 50000",
            "qwen3moe.attention.layer_norm_rms_epsilon 0.000001",
            "qwen3moe.expert_count 3",
            "qwen3moe.expert_used_count 2",
            "qwen3moe.attention.key_length 32",
            "qwen3moe.attention.value_length 32",
            "qwen3moe.expert_feed_forward_length 32",
        ],
    );
}

#[test]
fn keys_of_gemma() {
    check_keys(
        "gemma2",
        &[
            "gemma2.context_length 1024",
            "gemma2.embedding_length 64",
            "gemma2.block_count 2",
            "gemma2.feed_forward_length 96",
            "gemma2.attention.head_count 4",
            "gemma2.attention.head_count_kv 2",
            "gemma2.attention.layer_norm_rms_epsilon 0.000001",
            "gemma2.attention.key_length 32",
            "gemma2.attention.value_length 32",
            "gemma2.attn_logit_softcapping 50",
            "gemma2.final_logit_softcapping 30",
            "gemma2.attention.sliding_window 128",
        ],
    );
    check_keys(
        "gemma3",
        &[
            "gemma3.block_count 6",
            "gemma3.context_length 1024",
            "gemma3.embedding_length 64",
            "gemma3.feed_forward_length 96",
            "gemma3.attention.head_count 4",
            "gemma3.attention.head_count_kv 2",
            "gemma3.rope.scaling.type linear",
            "gemma3.rope.scaling.factor 8",
            "gemma3.rope.freq_base 1000000",
            "gemma3.rope.freq_base_swa 10000",
            "gemma3.attention.layer_norm_rms_epsilon 0.000001",
            "gemma3.attention.key_length 32",
            "gemma3.attention.value_length 32",
            "gemma3.attention.sliding_window 128",
        ],
    );
}

#[test]
fn keys_of_phi3_begin_with_the_factor_that_its_tensors_need() {
    check_keys(
        "phi3",
        &[
            "phi3.rope.scaling.attn_factor 1.118034",
            "phi3.context_length 1024",
            "phi3.rope.scaling.original_context_length 256",
            "phi3.embedding_length 64",
            "phi3.feed_forward_length 96",
            "phi3.block_count 2",
            "phi3.attention.head_count 4",
            "phi3.attention.head_count_kv 2",
            "phi3.attention.layer_norm_rms_epsilon 0.000001",
            "phi3.rope.dimension_count 12",
            "phi3.rope.freq_base 50000",
            "phi3.attention.sliding_window 0",
        ],
    );
    assert_eq!(decoder("phi3").1[1].0, "phi3.rope.scaling.attn_factor");
}

#[test]
fn keys_of_lfm2_count_heads_layer_by_layer() {
    check_keys(
        "lfm2",
        &[
            "lfm2.block_count 2",
            "lfm2.context_length 1024",
            "lfm2.embedding_length 64",
            "lfm2.feed_forward_length 64",
            "lfm2.attention.head_count 4",
            "lfm2.attention.head_count_kv I32(0) I32(2)",
            "lfm2.rope.freq_base 50000",
            "lfm2.attention.layer_norm_rms_epsilon 0.00001",
            "lfm2.vocab_size 300",
            "lfm2.shortconv.l_cache 3",
        ],
    );
}

#[test]
fn keys_of_granite_end_with_its_factors() {
    let (_, keys) = decoder("granite");
    let names: Vec<&str> = keys.iter().map(|(name, _)| name.as_str()).collect();
    let first = names.iter().position(|name| *name == "granite.vocab_size").unwrap();
    assert_eq!(
        names[first..first + 6],
        [
            "granite.vocab_size",
            "granite.rope.dimension_count",
            "granite.attention.scale",
            "granite.embedding_scale",
            "granite.residual_scale",
            "granite.logit_scale",
        ]
    );
}

#[test]
fn every_program_is_read_back_from_its_file() {
    for (name, config) in configs::all() {
        let family = families::by_name(name).unwrap();
        let (mut expected, keys) = decoder(name);
        let kind = by_name("F32").unwrap();
        let plan = |tensor, shape: &[u64]| TensorPlan {
            name: wire_name_in(name_of(&expected), tensor),
            kind,
            dims: shape.iter().rev().copied().collect(),
        };
        let mut plans: Vec<TensorPlan> = rope_tensors::of(&expected)
            .iter()
            .map(|(tensor, values)| plan(*tensor, &[values.len() as u64]))
            .collect();
        let whole = family.tensors(&expected).filter(|needed| needed.part.is_none());
        plans.extend(whole.map(|needed| plan(needed.tensor, &needed.shape)));
        let layout = Layout::new(&keys, &plans, 32);
        let n_bytes = layout.tensors.iter().map(|tensor| tensor.n_bytes + tensor.padding).sum::<u64>();
        let gguf = Gguf::parse(&layout.head, layout.head.len() as u64 + n_bytes).unwrap();
        let found = model::decoder(&gguf).unwrap();
        let architecture = name_of(&expected).to_owned();
        if name == "mistral" {
            // Its files use the architecture of Llama.
            expected.family = "llama".to_owned();
        }
        for attention in expected.blocks.iter_mut().filter_map(|block| block.attention_mut()) {
            // The head of a file lists these tensors, but not their numbers.
            if let Some(RotaryScaling::LongRope { factors, .. }) =
                attention.rotary.as_mut().map(|rotary| &mut rotary.scaling)
            {
                *factors = None;
            }
            // Files of the Llama architecture have no keys for a window.
            attention.window = attention.window.filter(|_| architecture != "llama");
        }
        let pairing = found.attentions().find_map(|attention| attention.rotary.as_ref()).unwrap().pairing;
        assert_eq!(found, expected.with_pairing(pairing), "{name}: {config}");
    }
}

/// Checks the changes that files make to the tensors of a family, kind by kind, and the tensors that they
/// add.
fn check_changes(family: &str, changes: &serde_json::Value, expected: &[&str]) {
    let (decoder, _) = changed(family, changes);
    let family = families::by_name(family).unwrap();
    let model = ModelDescription::new(&decoder);
    let mut found: Vec<String> = Vec::new();
    for needed in family.tensors(&decoder) {
        let tensor = TensorDescription { tensor: needed.tensor, stored: family.stored(needed.tensor) };
        let change = match GgufExporter.change(&model, &tensor) {
            None => continue,
            Some(Change::Interleave { n_heads }) => format!("{n_heads} heads interleaved"),
            Some(Change::Add(number)) => format!("plus {number}"),
            Some(Change::Squeeze) => "squeezed".to_owned(),
        };
        let line = format!("{}: {change}", needed.tensor.role());
        if !found.contains(&line) {
            found.push(line);
        }
    }
    let own = GgufExporter.own_tensors(&model);
    found.extend(own.iter().map(|(tensor, values)| format!("{tensor}: {values:?}")));
    assert_eq!(found, expected, "{}", family.name());
}

#[test]
fn files_change_tensors_as_the_converter_does() {
    let none = json!({});
    let heads = ["attn-q: 4 heads interleaved", "attn-k: 2 heads interleaved"];
    for family in ["mistral", "mixtral", "smollm3", "granite"] {
        check_changes(family, &none, &heads);
    }
    let with_biases =
        [heads[0], heads[1], "attn-q-bias: 4 heads interleaved", "attn-k-bias: 2 heads interleaved"];
    check_changes("llama", &json!({"attention_bias": true}), &with_biases);
    for family in ["qwen2", "qwen3", "qwen3moe", "olmo2"] {
        check_changes(family, &none, &[]);
    }
    let norms = ["attn-norm: plus 1", "post-attn-norm: plus 1", "ffn-norm: plus 1", "post-ffn-norm: plus 1"];
    check_changes("gemma2", &none, &[&norms[..], &["output-norm: plus 1"]].concat());
    let qk_norms = ["attn-q-norm: plus 1", "attn-k-norm: plus 1"];
    check_changes("gemma3", &none, &[&norms[..1], &qk_norms, &norms[1..], &["output-norm: plus 1"]].concat());
    check_changes("lfm2", &none, &["shortconv-conv: squeezed"]);
    check_changes(
        "phi3",
        &none,
        &[
            "rope-factors-long: [1.0, 1.5, 2.0, 2.5, 3.0, 3.5]",
            "rope-factors-short: [1.0, 1.0, 1.0, 1.0, 1.0, 1.25]",
        ],
    );
}

/// Returns the format's refusals of a family's model, and nothing else.
fn refusals(family: &str, changes: &serde_json::Value) -> Vec<String> {
    let (decoder, _) = changed(family, changes);
    let model = ModelDescription::new(&decoder);
    GgufExporter.accepts(&model).into_iter().map(|refusal| refusal.message).collect()
}

#[test]
fn exactly_the_models_without_keys_in_gguf_are_refused() {
    for (family, _) in configs::all() {
        assert_eq!(refusals(family, &json!({})), Vec::<String>::new(), "{family}");
    }
    let llama3 = json!({
        "type": "llama3", "factor": 8, "low_freq_factor": 1, "high_freq_factor": 4,
        "original_max_position_embeddings": 256
    });
    for (family, changes, expected) in [
        ("qwen2", json!({"rope_scaling": llama3}), "`llama3` scaling in a `qwen2` model"),
        (
            "gemma2",
            json!({"rope_scaling": {"type": "linear", "factor": 2}}),
            "`linear` scaling in a `gemma2` model",
        ),
        (
            "phi3",
            json!({"rope_scaling": {"type": "linear", "factor": 2}}),
            "`linear` scaling in a `phi3` model",
        ),
        (
            "gemma2",
            json!({"rope_theta": 20_000}),
            "a rotary base of 20000 in a `gemma2` model; expected 10000",
        ),
        (
            "qwen2",
            json!({"use_sliding_window": true, "max_window_layers": 1}),
            "attention windows in a `qwen2` model",
        ),
        (
            "gemma2",
            json!({"layer_types": ["full_attention", "sliding_attention"]}),
            "attention windows in some layers in a `gemma2` model; expected them in all but the last of each 2 layers",
        ),
        (
            "gemma3",
            json!({"sliding_window_pattern": 4}),
            "attention windows in some layers in a `gemma3` model; expected them in all but the last of each 6 layers",
        ),
        (
            "smollm3",
            json!({"no_rope_layers": [1, 1, 0, 1]}),
            "these layers without positions in a `smollm3` model; expected only the last of each 4",
        ),
        (
            "qwen3moe",
            json!({"mlp_only_layers": [0]}),
            "layers without experts among layers with them in a `qwen3moe` model",
        ),
        (
            "qwen3moe",
            json!({"norm_topk_prob": false}),
            "shares of experts that do not sum to 1 in a `qwen3moe` model",
        ),
    ] {
        assert_eq!(refusals(family, &changes), [format!("GGUF cannot express {expected}")]);
    }
}

#[test]
fn rotary_factors_have_the_bits_of_the_reference_converter() {
    // The 32 factors that llama.cpp's converter wrote for this configuration.
    let mut expected = vec![0x3f80_0000; 15];
    expected.extend([0x3fd3_5ec2, 0x4052_b46f, 0x411a_aaee]);
    expected.resize(32, 0x4200_0000);
    let stretched = json!({
        "head_dim": 64, "rope_theta": 500_000.0,
        "rope_scaling": {
            "factor": 32.0, "high_freq_factor": 4.0, "low_freq_factor": 1.0,
            "original_max_position_embeddings": 8192, "rope_type": "llama3"
        },
    });
    let own = rope_tensors::of(&changed("llama", &stretched).0);
    let [(ModelTensor::RopeFreqs, factors)] = own.as_slice() else { panic!("{own:?}") };
    assert_eq!(factors.iter().map(|factor| factor.to_bits()).collect::<Vec<_>>(), expected);
    assert!(rope_tensors::of(&changed("llama", &json!({"rope_scaling": null})).0).is_empty());
}
