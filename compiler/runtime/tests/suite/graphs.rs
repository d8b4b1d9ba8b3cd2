//! Whole graphs: every feature of every family, run by kernels and by the reference evaluation of the graph.

use std::collections::BTreeMap;
use std::sync::Arc;

use mc_decoder::activation::Activation;
use mc_decoder::kind::Kind;
use mc_decoder::kinds::attention::QkNorm;
use mc_decoder::kinds::experts::Experts;
use mc_decoder::kinds::short_convolution::ShortConvolution;
use mc_decoder::lower::lower;
use mc_decoder::norm::Norm;
use mc_decoder::program::{Block, Decoder, Scales};
use mc_graph::decompose::decompose;
use mc_graph::evaluate::Sequence;
use mc_graph::graph::Graph;
use mc_graph::rotary::{LongRopeFactors, RotaryPairing, RotaryScaling, Yarn};
use mc_graph::tensor::Tensor;
use mc_runtime::backend::Backend;
use mc_runtime::candle_backend::CandleBackend;
use mc_runtime::cpu_exact::CpuExact;
use mc_runtime::logits::LogitPositions;
use mc_runtime::model::Model;
use mc_runtime::weights::Weights;
use mc_tensor::model_tensor::ModelTensor;

use crate::toy;

const N_TOKENS: usize = 23;

/// Decoders with a feature that the plain one does not have.
fn variants() -> Vec<(&'static str, Decoder)> {
    let norm = Norm { epsilon: 1e-5 };
    let each = |change: &dyn Fn(&mut Block)| toy::each_block(toy::decoder(), change);
    let scaled = |scaling: RotaryScaling| {
        each(&|block| block.attention_mut().unwrap().rotary.as_mut().unwrap().scaling = scaling.clone())
    };
    let experts = |is_normalized| Experts {
        n_experts: 5,
        n_used: 2,
        n_ff: 24,
        activation: Activation::Silu,
        is_normalized,
        n_ff_dense: 50,
    };
    let yarn = Yarn {
        factor: 4.0,
        original_context: 16,
        extrapolation_factor: None,
        attention_factor: None,
        beta_fast: None,
        beta_slow: None,
    };
    let factors = LongRopeFactors { long: [1.0, 2.0, 3.0, 4.0].into(), short: [1.0, 1.1, 1.2, 1.3].into() };
    let long_rope = |original_context| RotaryScaling::LongRope {
        original_context,
        attention_factor: 1.2,
        factors: Some(factors.clone()),
    };
    let mut windows = toy::decoder();
    windows.blocks[0].attention_mut().unwrap().window = Some(6);
    let mut convolution = toy::decoder();
    convolution.blocks[1].mixer = Kind::new(ShortConvolution { kernel_len: 3 });
    vec![
        ("plain", toy::decoder()),
        ("interleaved pairs", toy::decoder().with_pairing(RotaryPairing::Interleaved)),
        ("a window in one layer", windows),
        ("a short convolution", convolution),
        ("experts", each(&|block| block.feed_forward = Kind::new(experts(true)))),
        (
            "experts whose shares keep their sum",
            each(&|block| block.feed_forward = Kind::new(experts(false))),
        ),
        (
            "norms behind each half",
            each(&|block| (block.post_attn_norm, block.post_ffn_norm) = (Some(norm), Some(norm))),
        ),
        (
            "norms behind alone",
            each(&|block| {
                (block.attn_norm, block.ffn_norm) = (None, None);
                (block.post_attn_norm, block.post_ffn_norm) = (Some(norm), Some(norm));
            }),
        ),
        ("norms of each head", each(&|block| block.attention_mut().unwrap().qk_norm = QkNorm::PerHead(norm))),
        ("norms of all heads", each(&|block| block.attention_mut().unwrap().qk_norm = QkNorm::Whole(norm))),
        (
            "fused projections",
            each(&|block| {
                block.attention_mut().unwrap().is_fused = true;
                toy::feed_forward(block).is_fused = true;
            }),
        ),
        (
            "biases",
            each(&|block| {
                let attention = block.attention_mut().unwrap();
                (attention.qkv_bias, attention.output_bias) = (true, true);
            }),
        ),
        (
            "soft caps",
            Decoder {
                logit_soft_cap: Some(3.0),
                ..each(&|block| block.attention_mut().unwrap().soft_cap = Some(2.0))
            },
        ),
        (
            "scales",
            Decoder {
                scales: Scales { embedding: 5.0, residual: 0.3, logit_divisor: 4.0 },
                ..toy::decoder()
            },
        ),
        ("yarn", scaled(RotaryScaling::Yarn(yarn))),
        ("longrope, long", scaled(long_rope(8))),
        ("longrope, short", scaled(long_rope(64))),
        ("no positions", each(&|block| block.attention_mut().unwrap().rotary = None)),
        ("a gate of gelu", each(&|block| toy::feed_forward(block).activation = Activation::GeluTanh)),
    ]
}

fn plain(weights: &Weights, graph: &Graph) -> BTreeMap<ModelTensor, Tensor> {
    let tensor = |(tensor, _, value_type): (ModelTensor, _, &mc_graph::value_type::ValueType)| {
        let shape = value_type.dims.iter().filter_map(|dim| dim.fixed()).map(|n| n as usize).collect();
        (tensor, Tensor::new(shape, weights.get(tensor).unwrap().to_f32()))
    };
    graph.weights().map(tensor).collect()
}

fn reference(graph: &Graph, weights: &Weights, tokens: &[u32]) -> Vec<f32> {
    let weights = plain(weights, graph);
    let mut sequence = Sequence::new(graph, &weights, N_TOKENS);
    sequence.run(tokens).unwrap().remove("logits").unwrap().values
}

fn run(decoder: &Decoder, backend: Arc<dyn Backend>, tokens: &[u32], batch: usize) -> Vec<f32> {
    let model = Model::with_backend(decoder, toy::weights(decoder), backend).unwrap();
    let mut cache = model.new_cache(N_TOKENS);
    let mut out = Vec::new();
    for batch in tokens.chunks(batch) {
        out.extend_from_slice(model.forward(batch, &mut cache, &LogitPositions::All, None).unwrap().values());
    }
    out
}

fn assert_close(name: &str, found: &[f32], expected: &[f32]) {
    assert_eq!(found.len(), expected.len(), "{name}");
    for (a, b) in found.iter().zip(expected) {
        assert!((a - b).abs() < 2e-4, "{name}: {a} {b}");
    }
}

#[test]
fn kernels_candle_and_decompositions_compute_the_graph() {
    let tokens = toy::tokens(N_TOKENS);
    for (name, decoder) in variants() {
        let weights = toy::weights(&decoder);
        let graph = lower(&decoder).unwrap();
        let expected = reference(&graph, &weights, &tokens);
        let primitive = decompose(&graph, |_| false).unwrap();
        assert_close(name, &reference(&primitive, &weights, &tokens), &expected);
        assert_close(name, &run(&decoder, Arc::new(CpuExact::new()), &tokens, N_TOKENS), &expected);
        assert_close(name, &run(&decoder, Arc::new(CandleBackend::cpu()), &tokens, N_TOKENS), &expected);
        assert_close(name, &run(&decoder, Arc::new(CandleBackend::cpu()), &tokens, 5), &expected);
    }
}

#[test]
fn batches_of_any_size_give_the_same_bits_with_all_kinds_of_layers() {
    let tokens = toy::tokens(N_TOKENS);
    for (name, decoder) in variants() {
        let whole = toy::bits(&run(&decoder, Arc::new(CpuExact::new()), &tokens, N_TOKENS));
        for batch in [1, 2, 5, 22] {
            let found = toy::bits(&run(&decoder, Arc::new(CpuExact::new()), &tokens, batch));
            assert!(found == whole, "{name}, batches of {batch}");
        }
    }
}

#[test]
fn a_truncated_cache_continues_with_all_kinds_of_layers() {
    let tokens = toy::tokens(N_TOKENS);
    for (name, decoder) in variants() {
        let model = toy::model(decoder);
        let mut cache = model.new_cache(N_TOKENS);
        let whole = model.forward(&tokens, &mut cache, &LogitPositions::Last, None).unwrap();
        cache.truncate(7).unwrap();
        let again = model.forward(&tokens[7..], &mut cache, &LogitPositions::Last, None).unwrap();
        assert_eq!(toy::bits(whole.values()), toy::bits(again.values()), "{name}");
    }
}

#[test]
fn decoders_are_read_back_from_their_text() {
    for (name, decoder) in variants() {
        let text = serde_json::to_string(&decoder).unwrap();
        let again: Decoder = serde_json::from_str(&text).unwrap();
        assert_eq!(again, decoder, "{name}");
        assert_eq!(serde_json::to_string(&again).unwrap(), text, "{name}");
    }
}
