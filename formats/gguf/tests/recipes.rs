//! Recipes choose the same type for every tensor as llama.cpp's quantizer.

use std::collections::BTreeMap;

use mc_encoding::codecs;
use mc_gguf::recipes::overrides::Overrides;
use mc_gguf::recipes::recipe::{Choice, Recipe};
use mc_gguf::recipes::tensor_position::ModelShape;
use mc_gguf::recipes::{self, RECIPES};
use mc_tensor::model_tensor::ModelTensor;
use serde_json::{Map, Value};

/// Layer designs of a model.
#[derive(Clone, Copy, PartialEq)]
enum Layers {
    Dense,
    /// Dense, with biases on query, key and value.
    Biased,
    /// Query, key and value in one matrix, gate and up in one, two lists of rotary factors.
    Fused,
    /// Short convolutions, and attention in every third layer.
    Convolution,
    Experts,
}

struct Shape {
    n_blocks: u32,
    n_heads: u32,
    n_kv_heads: u32,
    n_experts: u32,
    hidden: u64,
    feed_forward: u64,
    head_dim: u64,
    is_tied: bool,
    layers: Layers,
}

impl Shape {
    fn new(n_blocks: u32, n_heads: u32, n_kv_heads: u32, head_dim: u64, layers: Layers) -> Self {
        let (hidden, feed_forward) = (512, 1536);
        let is_tied = true;
        Self { n_blocks, n_heads, n_kv_heads, n_experts: 0, hidden, feed_forward, head_dim, is_tied, layers }
    }

    fn of(name: &str) -> Self {
        let Some(family) = name.strip_suffix("-small-bf16") else {
            return Self::parse(name);
        };
        match family {
            "qwen2" => Self::new(4, 8, 4, 64, Layers::Biased),
            "qwen3" => Self { is_tied: false, ..Self::new(4, 8, 4, 128, Layers::Dense) },
            "gemma3" => Self::new(6, 4, 1, 256, Layers::Dense),
            "phi3" => {
                let shape = Self::new(4, 8, 8, 96, Layers::Fused);
                Self { is_tied: false, hidden: 768, feed_forward: 2048, ..shape }
            }
            "smollm3" => Self::new(8, 8, 2, 64, Layers::Dense),
            "lfm2" => Self { feed_forward: 1024, ..Self::new(6, 8, 4, 64, Layers::Convolution) },
            "mistral" => Self { is_tied: false, ..Self::new(4, 8, 2, 128, Layers::Dense) },
            _ => panic!("no such family: {family}"),
        }
    }

    /// Reads names such as `L4-H6-KV2-D192-F288-untied`.
    fn parse(name: &str) -> Self {
        let mut shape = Self { feed_forward: 1024, is_tied: false, ..Self::new(0, 0, 0, 0, Layers::Dense) };
        for part in name.split('-') {
            let number = |prefix: &str| part.strip_prefix(prefix).and_then(|digits| digits.parse().ok());
            if let Some(n) = number("KV") {
                shape.n_kv_heads = n;
            } else if let Some(n) = number("L") {
                shape.n_blocks = n;
            } else if let Some(n) = number("H") {
                shape.n_heads = n;
            } else if let Some(n) = number("E") {
                shape.n_experts = n;
                shape.layers = Layers::Experts;
            } else if let Some(n) = number("D") {
                shape.hidden = u64::from(n);
            } else if let Some(n) = number("F") {
                shape.feed_forward = u64::from(n);
            } else if part == "tied" {
                shape.is_tied = true;
            } else {
                assert_eq!(part, "untied", "{name}");
            }
        }
        shape.head_dim = shape.hidden / u64::from(shape.n_heads);
        shape
    }

    fn model(&self) -> ModelShape {
        // The first layer of a convolution model has no attention.
        let n_kv_heads = if self.layers == Layers::Convolution { 0 } else { self.n_kv_heads };
        let n_blocks = self.n_blocks as usize;
        ModelShape { n_blocks, n_heads: self.n_heads, n_kv_heads, n_experts: self.n_experts }
    }

    fn tensors(&self) -> Vec<(ModelTensor, Vec<u64>)> {
        let mut tensors = vec![
            (ModelTensor::TokenEmbedding, vec![1000, self.hidden]),
            (ModelTensor::OutputNorm, vec![self.hidden]),
        ];
        if !self.is_tied {
            tensors.push((ModelTensor::Output, vec![1000, self.hidden]));
        }
        if self.layers == Layers::Fused {
            tensors.push((ModelTensor::RopeFactorsLong, vec![self.head_dim / 2]));
            tensors.push((ModelTensor::RopeFactorsShort, vec![self.head_dim / 2]));
        }
        for block in 0..self.n_blocks {
            self.add_mixer(block, &mut tensors);
            self.add_feed_forward(block, &mut tensors);
        }
        tensors
    }

    fn add_mixer(&self, block: u32, tensors: &mut Vec<(ModelTensor, Vec<u64>)>) {
        let hidden = self.hidden;
        let q = u64::from(self.n_heads) * self.head_dim;
        let kv = u64::from(self.n_kv_heads) * self.head_dim;
        tensors.push((ModelTensor::AttnNorm { block }, vec![hidden]));
        if self.layers == Layers::Convolution && block % 3 != 2 {
            tensors.extend([
                (ModelTensor::ShortconvConv { block }, vec![hidden, 3]),
                (ModelTensor::ShortconvInProj { block }, vec![3 * hidden, hidden]),
                (ModelTensor::ShortconvOutProj { block }, vec![hidden, hidden]),
            ]);
            return;
        }
        tensors.push((ModelTensor::AttnOutput { block }, vec![hidden, q]));
        if self.layers == Layers::Fused {
            tensors.push((ModelTensor::AttnQkv { block }, vec![q + 2 * kv, hidden]));
            return;
        }
        tensors.extend([
            (ModelTensor::AttnK { block }, vec![kv, hidden]),
            (ModelTensor::AttnQ { block }, vec![q, hidden]),
            (ModelTensor::AttnV { block }, vec![kv, hidden]),
        ]);
        if self.layers == Layers::Biased {
            tensors.extend([
                (ModelTensor::AttnKBias { block }, vec![kv]),
                (ModelTensor::AttnQBias { block }, vec![q]),
                (ModelTensor::AttnVBias { block }, vec![kv]),
            ]);
        }
    }

    fn add_feed_forward(&self, block: u32, tensors: &mut Vec<(ModelTensor, Vec<u64>)>) {
        let (hidden, wide) = (self.hidden, self.feed_forward);
        let n_experts = u64::from(self.n_experts);
        match self.layers {
            Layers::Experts => tensors.extend([
                (ModelTensor::FfnGateInp { block }, vec![n_experts, hidden]),
                (ModelTensor::FfnDownExps { block }, vec![n_experts, hidden, wide]),
                (ModelTensor::FfnGateExps { block }, vec![n_experts, wide, hidden]),
                (ModelTensor::FfnUpExps { block }, vec![n_experts, wide, hidden]),
            ]),
            Layers::Fused => tensors.extend([
                (ModelTensor::FfnDown { block }, vec![hidden, wide]),
                (ModelTensor::FfnUp { block }, vec![2 * wide, hidden]),
            ]),
            _ => tensors.extend([
                (ModelTensor::FfnDown { block }, vec![hidden, wide]),
                (ModelTensor::FfnGate { block }, vec![wide, hidden]),
                (ModelTensor::FfnUp { block }, vec![wide, hidden]),
            ]),
        }
    }
}

/// The name of a tensor in the golden file; `None` for those that it omits.
fn suffix(tensor: ModelTensor) -> Option<&'static str> {
    Some(match tensor {
        ModelTensor::TokenEmbedding => "token_embd.weight",
        ModelTensor::Output => "output.weight",
        ModelTensor::RopeFactorsLong => "rope_factors_long.weight",
        ModelTensor::RopeFactorsShort => "rope_factors_short.weight",
        ModelTensor::AttnQ { .. } => "attn_q.weight",
        ModelTensor::AttnK { .. } => "attn_k.weight",
        ModelTensor::AttnV { .. } => "attn_v.weight",
        ModelTensor::AttnQBias { .. } => "attn_q.bias",
        ModelTensor::AttnKBias { .. } => "attn_k.bias",
        ModelTensor::AttnVBias { .. } => "attn_v.bias",
        ModelTensor::AttnQkv { .. } => "attn_qkv.weight",
        ModelTensor::AttnOutput { .. } => "attn_output.weight",
        ModelTensor::FfnGate { .. } => "ffn_gate.weight",
        ModelTensor::FfnUp { .. } => "ffn_up.weight",
        ModelTensor::FfnDown { .. } => "ffn_down.weight",
        ModelTensor::FfnGateExps { .. } => "ffn_gate_exps.weight",
        ModelTensor::FfnUpExps { .. } => "ffn_up_exps.weight",
        ModelTensor::FfnDownExps { .. } => "ffn_down_exps.weight",
        ModelTensor::ShortconvConv { .. } => "shortconv.conv.weight",
        ModelTensor::ShortconvInProj { .. } => "shortconv.in_proj.weight",
        ModelTensor::ShortconvOutProj { .. } => "shortconv.out_proj.weight",
        _ => return None,
    })
}

/// `2xq6_K 2xq4_K` → q6_K q6_K q4_K q4_K
fn expand(runs: &str) -> Vec<String> {
    runs.split(' ')
        .flat_map(|run| {
            let (count, name) = run.split_once('x').unwrap();
            std::iter::repeat_n(name.to_uppercase(), count.parse().unwrap())
        })
        .collect()
}

fn golden() -> Map<String, Value> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/recipes.json");
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// Calls `check` for every shape and recipe of the golden file, with and without an imatrix.
fn for_all(mut check: impl FnMut(&str, &Shape, &Recipe, bool, &Map<String, Value>)) {
    for (shape_name, answers) in &golden() {
        let shape = Shape::of(shape_name);
        for (key, answer) in answers.as_object().unwrap() {
            let name = key.strip_suffix("+imatrix").unwrap_or(key);
            let recipe = recipes::by_name(name).unwrap_or_else(|| panic!("no recipe {name}"));
            let what = format!("{shape_name} {key}");
            check(&what, &shape, recipe, name != key, answer.as_object().unwrap());
        }
    }
}

#[test]
fn every_tensor_of_every_shape_gets_the_same_type() {
    let mut n_compared = 0;
    for_all(|what, shape, recipe, has_imatrix, answer| {
        // llama.cpp fails if rows fit neither a codec nor its fallback, such as rows of 192 in Q1_0.
        if answer.is_empty() {
            assert!(what.contains("Q1_0"), "{what}");
            return;
        }
        let tensors = shape.tensors();
        let choices = recipe.resolve(shape.model(), &tensors, &Overrides::default(), has_imatrix);
        let mut chosen: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for ((tensor, _), choice) in tensors.iter().zip(&choices) {
            if let Some(suffix) = suffix(*tensor) {
                chosen.entry(suffix).or_default().push(choice.codec.name.to_uppercase());
            }
        }
        let expected: BTreeMap<&str, Vec<String>> = answer
            .iter()
            .filter_map(|(suffix, runs)| Some((suffix.as_str(), expand(runs.as_str()?))))
            .collect();
        assert_eq!(chosen, expected, "{what}");
        n_compared += chosen.values().map(Vec::len).sum::<usize>();
        let n_fallbacks = choices.iter().filter(|choice| choice.is_fallback).count() as u64;
        assert_eq!(n_fallbacks, answer.get("fallback").and_then(Value::as_u64).unwrap_or(0), "{what}");
    });
    assert_eq!(n_compared, 127_039, "every type in the golden file");
}

#[test]
fn the_same_recipes_require_an_imatrix() {
    let mut n_refusals = 0;
    for_all(|what, shape, recipe, has_imatrix, answer| {
        if has_imatrix {
            return;
        }
        let needed = recipe.needs_imatrix(shape.model(), &shape.tensors(), &Overrides::default());
        let expected = answer.get("requires_imatrix").and_then(Value::as_bool).unwrap_or(false);
        assert_eq!(!needed.is_empty(), expected, "{what}: {needed:?}");
        n_refusals += usize::from(expected);
    });
    assert_eq!(n_refusals, 13 * 9);
}

#[test]
fn every_recipe_is_compared() {
    let golden = golden();
    let compared = golden["L32-H8-KV2-untied"].as_object().unwrap();
    // The quantizer has a number for NVFP4, but its command line does not offer it.
    for recipe in RECIPES.iter().filter(|recipe| recipe.name != "NVFP4") {
        assert!(compared.contains_key(recipe.name), "{}", recipe.name);
    }
}

fn resolve(recipe: &str, shape: &str, overrides: &Overrides) -> BTreeMap<ModelTensor, Choice> {
    let shape = Shape::of(shape);
    let tensors = shape.tensors();
    let choices = recipes::by_name(recipe).unwrap().resolve(shape.model(), &tensors, overrides, false);
    tensors.into_iter().map(|(tensor, _)| tensor).zip(choices).collect()
}

fn naming(named: &[(ModelTensor, &str)]) -> Overrides {
    let by_tensor = named.iter().map(|(tensor, name)| (*tensor, codecs::by_name(name).unwrap())).collect();
    Overrides { by_tensor, is_pure: false }
}

#[test]
fn pure_gives_the_default_to_every_quantizable_tensor() {
    let overrides = Overrides { is_pure: true, ..naming(&[(ModelTensor::Output, "Q8_0")]) };
    for (tensor, choice) in resolve("Q4_K_M", "L32-H8-KV2-untied", &overrides) {
        let expected = match tensor {
            ModelTensor::Output => "Q8_0",
            tensor if tensor.is_quantizable() => "Q4_K",
            _ => "F32",
        };
        assert_eq!(choice.codec.name, expected, "{tensor}");
    }
}

#[test]
fn a_named_tensor_gets_its_codec_and_is_not_counted() {
    let overrides = naming(&[(ModelTensor::AttnV { block: 1 }, "Q3_K")]);
    let choices = resolve("Q4_K_S", "L16-H8-KV2-tied", &overrides);
    let values: Vec<&str> = (0..6).map(|block| choices[&ModelTensor::AttnV { block }].codec.name).collect();
    // The first four values without a named codec get Q5_K.
    assert_eq!(values, ["Q5_K", "Q3_K", "Q5_K", "Q5_K", "Q5_K", "Q4_K"]);
}

#[test]
fn a_named_codec_falls_back_like_a_chosen_one() {
    let tensor = ModelTensor::FfnUp { block: 0 };
    let choices = resolve("Q8_0", "L4-H6-KV2-D192-F288-untied", &naming(&[(tensor, "Q4_K")]));
    assert_eq!(choices[&tensor], Choice { codec: codecs::by_name("Q5_0").unwrap(), is_fallback: true });
}

#[test]
fn a_norm_cannot_be_named() {
    let tensor = ModelTensor::AttnNorm { block: 0 };
    let choices = resolve("Q8_0", "L16-H8-KV2-tied", &naming(&[(tensor, "Q8_0")]));
    assert_eq!(choices[&tensor].codec.name, "F32");
}

#[test]
fn rows_that_fit_no_fallback_are_stored_as_f16() {
    let choices = resolve("Q1_0", "L4-H6-KV2-D192-F288-untied", &Overrides::default());
    assert_eq!(choices[&ModelTensor::AttnQ { block: 0 }].codec.name, "F16");
}
