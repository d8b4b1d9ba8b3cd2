//! A model with the new kind of layer is lowered, needs its tensors, and runs on every backend.

use std::collections::BTreeMap;
use std::sync::Arc;

use another_layer_kind::PlainFeedForward;
use mc_decoder::activation::Activation;
use mc_decoder::kind::Kind;
use mc_decoder::kinds::attention::{Attention, QkNorm};
use mc_decoder::lower::lower;
use mc_decoder::norm::Norm;
use mc_decoder::program::{Block, Decoder, Head, Scales};
use mc_graph::decompose::decompose;
use mc_graph::evaluate::Sequence;
use mc_graph::tensor::Tensor;
use mc_runtime::backend::Backend;
use mc_runtime::candle_backend::CandleBackend;
use mc_runtime::cpu_exact::CpuExact;
use mc_runtime::logits::LogitPositions;
use mc_runtime::model::Model;
use mc_runtime::weight::Weight;
use mc_runtime::weights::Weights;
use mc_tensor::model_tensor::ModelTensor;

const TOKENS: [u32; 7] = [3, 1, 4, 1, 5, 9, 2];

fn decoder() -> Decoder {
    let norm = Norm { epsilon: 1e-5 };
    let attention = Attention {
        n_heads: 2,
        n_kv_heads: 1,
        head_dim: 8,
        scale: 0.35,
        is_fused: false,
        qkv_bias: false,
        output_bias: false,
        qk_norm: QkNorm::None,
        rotary: None,
        window: None,
        soft_cap: None,
    };
    let block = Block {
        attn_norm: Some(norm),
        mixer: Kind::new(attention),
        post_attn_norm: None,
        ffn_norm: Some(norm),
        feed_forward: Kind::new(PlainFeedForward { n_ff: 24, activation: Activation::GeluTanh }),
        post_ffn_norm: None,
    };
    Decoder {
        family: "another".to_owned(),
        context_length: 16,
        n_embd: 16,
        n_vocab: 11,
        blocks: vec![block; 2],
        output_norm: norm,
        head: Head::Tied,
        scales: Scales::ONE,
        logit_soft_cap: None,
    }
}

/// Numbers that depend on the tensor's place alone.
fn weights(decoder: &Decoder) -> BTreeMap<ModelTensor, Tensor> {
    let tensor = |(place, needed): (usize, mc_decoder::needed::Needed)| {
        let shape: Vec<usize> = needed.shape.iter().map(|n| *n as usize).collect();
        let number = |i: usize| ((i * 7919 + place * 104_729) % 1009) as f32 / 1009.0 - 0.5;
        let values = (0..shape.iter().product()).map(number).collect();
        (needed.tensor, Tensor::new(shape, values))
    };
    decoder.tensors().enumerate().map(tensor).collect()
}

#[test]
fn the_kind_is_part_of_a_program_and_of_its_graph() {
    let decoder = decoder();
    let graph = lower(&decoder).unwrap();
    let in_graph: Vec<ModelTensor> = graph.weights().map(|(tensor, _, _)| tensor).collect();
    assert!(decoder.tensors().all(|needed| in_graph.contains(&needed.tensor)));
    assert!(!in_graph.contains(&ModelTensor::FfnGate { block: 0 }));
}

#[test]
fn every_backend_computes_it() {
    let decoder = decoder();
    let graph = lower(&decoder).unwrap();
    let plain = weights(&decoder);
    let logits = |graph| Sequence::new(graph, &plain, 16).run(&TOKENS).unwrap().remove("logits").unwrap().values;
    let expected = logits(&graph);
    let primitive = decompose(&graph, |_| false).unwrap();
    let backends: [Arc<dyn Backend>; 2] = [Arc::new(CpuExact::new()), Arc::new(CandleBackend::cpu())];
    let run = |backend| {
        let weight = |(tensor, plain): (&ModelTensor, &Tensor)| {
            (*tensor, Weight::from_f32(plain.shape.clone(), plain.values.clone()).unwrap())
        };
        let weights: Weights = plain.iter().map(weight).collect();
        let model = Model::with_backend(&decoder, weights, backend).unwrap();
        let mut cache = model.new_cache(16);
        model.forward(&TOKENS, &mut cache, &LogitPositions::All, None).unwrap().values().to_vec()
    };
    let found = backends.map(run).into_iter().chain([logits(&primitive)]);
    for found in found {
        assert_eq!(found.len(), expected.len());
        for (a, b) in found.iter().zip(&expected) {
            assert!((a - b).abs() < 1e-4, "{a} {b}");
        }
    }
}
