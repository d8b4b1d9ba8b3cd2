//! The program of `mc_decoder` in f64, one number at a time; shares no code with the runtime.

#![expect(clippy::disallowed_methods, reason = "compared within a tolerance, never hashed")]

use std::f64::consts::PI;

use mc_decoder::activation::Activation;
use mc_decoder::kinds::attention::Attention;
use mc_decoder::kinds::gated_feed_forward::GatedFeedForward;
use mc_decoder::program::{Decoder, Head};
use mc_decoder::rotary::Rotary;
use mc_graph::rotary::{RotaryPairing, RotaryScaling};
use mc_runtime::weights::Weights;
use mc_tensor::model_tensor::ModelTensor;

type Rows = Vec<Vec<f64>>;

fn values(weights: &Weights, tensor: ModelTensor) -> Vec<f64> {
    weights.get(tensor).unwrap().to_f32().into_iter().map(f64::from).collect()
}

fn linear(input: &Rows, weight: &[f64], bias: Option<Vec<f64>>) -> Rows {
    let n_columns = input[0].len();
    let project = |row: &Vec<f64>| -> Vec<f64> {
        let dots = weight.chunks(n_columns).map(|w| w.iter().zip(row).map(|(a, b)| a * b).sum::<f64>());
        match &bias {
            Some(bias) => dots.zip(bias).map(|(a, b)| a + b).collect(),
            None => dots.collect(),
        }
    };
    input.iter().map(project).collect()
}

fn norm(input: &Rows, weight: &[f64], epsilon: f32) -> Rows {
    let norm_row = |row: &Vec<f64>| -> Vec<f64> {
        let mean = row.iter().map(|x| x * x).sum::<f64>() / row.len() as f64;
        let root = (mean + f64::from(epsilon)).sqrt();
        row.iter().zip(weight).map(|(x, w)| x / root * w).collect()
    };
    input.iter().map(norm_row).collect()
}

fn rotate(rows: &mut Rows, head_dim: usize, rotary: &Rotary) {
    let n_pairs = rotary.n_dims as usize / 2;
    for (position, row) in rows.iter_mut().enumerate() {
        for head in row.chunks_mut(head_dim) {
            for i in 0..n_pairs {
                let mut frequency = f64::from(rotary.base).powf(-2.0 * i as f64 / f64::from(rotary.n_dims));
                if let RotaryScaling::Linear { factor } = rotary.scaling {
                    frequency /= f64::from(factor);
                }
                let (sin, cos) = (position as f64 * frequency).sin_cos();
                let (first, second) = match rotary.pairing {
                    RotaryPairing::HalfSplit => (i, i + n_pairs),
                    RotaryPairing::Interleaved => (2 * i, 2 * i + 1),
                };
                let (a, b) = (head[first], head[second]);
                head[first] = a * cos - b * sin;
                head[second] = a * sin + b * cos;
            }
        }
    }
}

fn attend(q: &Rows, k: &Rows, v: &Rows, attention: &Attention) -> Rows {
    let dim = attention.head_dim as usize;
    let shared = (attention.n_heads / attention.n_kv_heads) as usize;
    let mut out = vec![vec![0.0; q[0].len()]; q.len()];
    for position in 0..q.len() {
        for head in 0..attention.n_heads as usize {
            let (at, kv_at) = (head * dim, head / shared * dim);
            let scores: Vec<f64> = (0..=position)
                .map(|j| (0..dim).map(|d| q[position][at + d] * k[j][kv_at + d]).sum::<f64>())
                .map(|dot| (dot * f64::from(attention.scale)).exp())
                .collect();
            let sum: f64 = scores.iter().sum();
            for d in 0..dim {
                let mixed: f64 = scores.iter().enumerate().map(|(j, e)| e * v[j][kv_at + d]).sum();
                out[position][at + d] = mixed / sum;
            }
        }
    }
    out
}

fn add(rows: &mut Rows, update: &Rows) {
    for (row, update) in rows.iter_mut().zip(update) {
        for (x, y) in row.iter_mut().zip(update) {
            *x += y;
        }
    }
}

/// The logits of every position, and the input rows of each matrix in program order.
pub(crate) fn logits(
    decoder: &Decoder,
    weights: &Weights,
    tokens: &[u32],
) -> (Rows, Vec<(ModelTensor, Rows)>) {
    let mut seen = Vec::new();
    let embedding = values(weights, ModelTensor::TokenEmbedding);
    let n_embd = decoder.n_embd as usize;
    let mut stream: Rows =
        tokens.iter().map(|token| embedding[*token as usize * n_embd..][..n_embd].to_vec()).collect();
    for (block, layer) in (0u32..).zip(&decoder.blocks) {
        let attention = layer.attention().unwrap();
        let get = |tensor| values(weights, tensor);
        let bias = |has: bool, tensor| has.then(|| values(weights, tensor));
        let normed = norm(&stream, &get(ModelTensor::AttnNorm { block }), layer.attn_norm.unwrap().epsilon);
        let has = attention.qkv_bias;
        let mut q =
            linear(&normed, &get(ModelTensor::AttnQ { block }), bias(has, ModelTensor::AttnQBias { block }));
        let mut k =
            linear(&normed, &get(ModelTensor::AttnK { block }), bias(has, ModelTensor::AttnKBias { block }));
        let v =
            linear(&normed, &get(ModelTensor::AttnV { block }), bias(has, ModelTensor::AttnVBias { block }));
        if let Some(rotary) = &attention.rotary {
            rotate(&mut q, attention.head_dim as usize, rotary);
            rotate(&mut k, attention.head_dim as usize, rotary);
        }
        let mixed = attend(&q, &k, &v, attention);
        let output_bias = bias(attention.output_bias, ModelTensor::AttnOutputBias { block });
        add(&mut stream, &linear(&mixed, &get(ModelTensor::AttnOutput { block }), output_bias));
        seen.push((ModelTensor::AttnQ { block }, normed));
        seen.push((ModelTensor::AttnOutput { block }, mixed));
        let normed = norm(&stream, &get(ModelTensor::FfnNorm { block }), layer.ffn_norm.unwrap().epsilon);
        let mut gate = linear(&normed, &get(ModelTensor::FfnGate { block }), None);
        let up = linear(&normed, &get(ModelTensor::FfnUp { block }), None);
        for (gate, up) in gate.iter_mut().flatten().zip(up.iter().flatten()) {
            *gate = up
                * match layer.feed_forward.get::<GatedFeedForward>().unwrap().activation {
                    Activation::Silu => *gate / (1.0 + (-*gate).exp()),
                    Activation::GeluTanh => {
                        let inner = (2.0 / PI).sqrt() * (*gate + 0.044715 * gate.powi(3));
                        *gate / 2.0 * (1.0 + inner.tanh())
                    }
                };
        }
        add(&mut stream, &linear(&gate, &get(ModelTensor::FfnDown { block }), None));
        seen.push((ModelTensor::FfnGate { block }, normed));
        seen.push((ModelTensor::FfnDown { block }, gate));
    }
    let normed = norm(&stream, &values(weights, ModelTensor::OutputNorm), decoder.output_norm.epsilon);
    let head = match decoder.head {
        Head::Tied => embedding,
        Head::Untied => values(weights, ModelTensor::Output),
    };
    (linear(&normed, &head, None), seen)
}
