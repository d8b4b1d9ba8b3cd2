//! Recipes choose for every tensor what llama.cpp's quantizer chooses.

use mc_codec::recipes::{ModelShape, RECIPES};
use mc_tensor::model_tensor::ModelTensor;
use serde_json::Value;

struct Shape {
    n_blocks: u32,
    n_heads: u32,
    n_kv_heads: u32,
    hidden: u64,
    feed_forward: u64,
    is_tied: bool,
}

/// Reads names such as `L4-H6-KV2-D192-F288-untied`.
fn parse(name: &str) -> Option<Shape> {
    let mut shape =
        Shape { n_blocks: 0, n_heads: 0, n_kv_heads: 0, hidden: 512, feed_forward: 1024, is_tied: false };
    for part in name.split('-') {
        let number = |prefix: &str| part.strip_prefix(prefix).and_then(|digits| digits.parse::<u32>().ok());
        if let Some(n) = number("KV") {
            shape.n_kv_heads = n;
        } else if let Some(n) = number("L") {
            shape.n_blocks = n;
        } else if let Some(n) = number("H") {
            shape.n_heads = n;
        } else if let Some(n) = number("D") {
            shape.hidden = u64::from(n);
        } else if let Some(n) = number("F") {
            shape.feed_forward = u64::from(n);
        } else if part == "tied" {
            shape.is_tied = true;
        } else if part != "untied" {
            return None;
        }
    }
    (shape.n_blocks > 0).then_some(shape)
}

fn tensors(shape: &Shape) -> Vec<(ModelTensor, Vec<u64>)> {
    let (hidden, wide) = (shape.hidden, shape.feed_forward);
    let kv = hidden / u64::from(shape.n_heads) * u64::from(shape.n_kv_heads);
    let mut tensors = vec![(ModelTensor::TokenEmbedding, vec![1000, hidden])];
    if !shape.is_tied {
        tensors.push((ModelTensor::Output, vec![1000, hidden]));
    }
    for block in 0..shape.n_blocks {
        tensors.extend([
            (ModelTensor::AttnK { block }, vec![kv, hidden]),
            (ModelTensor::AttnNorm { block }, vec![hidden]),
            (ModelTensor::AttnOutput { block }, vec![hidden, hidden]),
            (ModelTensor::AttnQ { block }, vec![hidden, hidden]),
            (ModelTensor::AttnV { block }, vec![kv, hidden]),
            (ModelTensor::FfnDown { block }, vec![hidden, wide]),
            (ModelTensor::FfnGate { block }, vec![wide, hidden]),
            (ModelTensor::FfnUp { block }, vec![wide, hidden]),
        ]);
    }
    tensors
}

fn suffix(tensor: ModelTensor) -> Option<&'static str> {
    Some(match tensor {
        ModelTensor::TokenEmbedding => "token_embd.weight",
        ModelTensor::Output => "output.weight",
        ModelTensor::AttnQ { .. } => "attn_q.weight",
        ModelTensor::AttnK { .. } => "attn_k.weight",
        ModelTensor::AttnV { .. } => "attn_v.weight",
        ModelTensor::AttnOutput { .. } => "attn_output.weight",
        ModelTensor::FfnGate { .. } => "ffn_gate.weight",
        ModelTensor::FfnUp { .. } => "ffn_up.weight",
        ModelTensor::FfnDown { .. } => "ffn_down.weight",
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

#[test]
fn every_tensor_of_every_shape_gets_the_same_type() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/recipes.json");
    let golden: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let mut n_compared = 0;
    for (shape_name, recipes) in golden.as_object().unwrap() {
        let Some(shape) = parse(shape_name) else {
            continue;
        };
        let tensors = tensors(&shape);
        for recipe in RECIPES {
            for has_imatrix in [false, true] {
                let key = format!("{}{}", recipe.name, if has_imatrix { "+imatrix" } else { "" });
                let Some(expected) = recipes.get(&key) else {
                    continue;
                };
                let model = ModelShape {
                    n_blocks: shape.n_blocks as usize,
                    n_heads: shape.n_heads,
                    n_kv_heads: shape.n_kv_heads,
                };
                let choices = recipe.resolve(model, &tensors, has_imatrix);
                for (name, runs) in expected.as_object().unwrap() {
                    let Some(runs) = runs.as_str() else {
                        continue;
                    };
                    let chosen: Vec<String> = tensors
                        .iter()
                        .zip(&choices)
                        .filter(|((tensor, _), _)| suffix(*tensor) == Some(name))
                        .map(|(_, choice)| choice.codec.name.to_uppercase())
                        .collect();
                    assert_eq!(chosen, expand(runs), "{shape_name} {key} {name}");
                    n_compared += 1;
                }
            }
        }
    }
    assert!(n_compared > 900, "compared {n_compared} lists");
}
