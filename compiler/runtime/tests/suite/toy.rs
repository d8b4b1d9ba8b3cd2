//! Small models with made-up weights.

use mc_decoder::activation::Activation;
use mc_decoder::kind::Kind;
use mc_decoder::kinds::attention::{Attention, QkNorm};
use mc_decoder::kinds::gated_feed_forward::GatedFeedForward;
use mc_decoder::norm::Norm;
use mc_decoder::program::{Block, Decoder, Head, Scales};
use mc_decoder::rotary::Rotary;
use mc_graph::rotary::{RotaryPairing, RotaryScaling};
use mc_runtime::model::Model;
use mc_runtime::random::Random;
use mc_runtime::weight::Weight;
use mc_runtime::weights::Weights;
use mc_tensor::model_tensor::ModelTensor;

/// A head has width twelve, so that rows of heads are not a whole number of lanes.
pub(crate) fn decoder() -> Decoder {
    let rotary =
        Rotary { n_dims: 8, base: 100.0, scaling: RotaryScaling::None, pairing: RotaryPairing::HalfSplit };
    let attention = Attention {
        n_heads: 4,
        n_kv_heads: 2,
        head_dim: 12,
        scale: 0.3,
        is_fused: false,
        qkv_bias: false,
        output_bias: false,
        qk_norm: QkNorm::None,
        rotary: Some(rotary),
        window: None,
        soft_cap: None,
    };
    let block = Block {
        attn_norm: Some(Norm { epsilon: 1e-5 }),
        mixer: Kind::new(attention),
        post_attn_norm: None,
        ffn_norm: Some(Norm { epsilon: 1e-6 }),
        feed_forward: Kind::new(GatedFeedForward { n_ff: 50, activation: Activation::Silu, is_fused: false }),
        post_ffn_norm: None,
    };
    Decoder {
        family: "llama".to_owned(),
        context_length: 80,
        n_embd: 32,
        n_vocab: 41,
        blocks: vec![block.clone(), block],
        output_norm: Norm { epsilon: 1e-5 },
        head: Head::Tied,
        scales: Scales::ONE,
        logit_soft_cap: None,
    }
}

/// Changes every block.
pub(crate) fn each_block(mut decoder: Decoder, mut change: impl FnMut(&mut Block)) -> Decoder {
    decoder.blocks.iter_mut().for_each(&mut change);
    decoder
}

/// All tensors that a program needs, with their shapes; a layer's experts count as one tensor.
pub(crate) fn shapes(decoder: &Decoder) -> Vec<(ModelTensor, Vec<usize>)> {
    let mut shapes: Vec<(ModelTensor, Vec<usize>)> = Vec::new();
    for needed in decoder.tensors() {
        let shape: Vec<usize> = needed.shape.iter().map(|n| *n as usize).collect();
        match (needed.part, shapes.iter_mut().find(|(tensor, _)| *tensor == needed.tensor)) {
            (Some(_), Some((_, stacked))) => stacked[0] += 1,
            (Some(_), None) => shapes.push((needed.tensor, [vec![1], shape].concat())),
            (None, _) => shapes.push((needed.tensor, shape)),
        }
    }
    // Made-up numbers are drawn in this order.
    shapes.sort_by_key(|(tensor, _)| tensor.block().is_some());
    shapes
}

/// Weights with approximately unit gain.
pub(crate) fn weights(decoder: &Decoder) -> Weights {
    let mut random = Random::new(11);
    let fill = |(tensor, shape): (ModelTensor, Vec<usize>)| {
        let n = shape.iter().product::<usize>();
        let (center, spread) = match (shape.len(), tensor) {
            (2, ModelTensor::TokenEmbedding) => (0.0, 1.0),
            (2 | 3, _) => (0.0, 2.0 / (shape[shape.len() - 1] as f64).sqrt()),
            _ => (if tensor.role().ends_with("norm") { 1.0 } else { 0.0 }, 0.3),
        };
        let values = (0..n).map(|_| (center + spread * (2.0 * random.next_f64() - 1.0)) as f32).collect();
        (tensor, Weight::from_f32(shape, values).unwrap())
    };
    shapes(decoder).into_iter().map(fill).collect()
}

/// A model with these weights.
pub(crate) fn model(decoder: Decoder) -> Model {
    let weights = weights(&decoder);
    Model::new(&decoder, weights).unwrap()
}

/// Some tokens of the vocabulary.
pub(crate) fn tokens(n: usize) -> Vec<u32> {
    let mut random = Random::new(5);
    (0..n).map(|_| (random.next_u64() % 41) as u32).collect()
}

/// The bits of numbers, for exact comparisons.
pub(crate) fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

/// The feed-forward of a layer as a mutable reference.
pub(crate) fn feed_forward(block: &mut Block) -> &mut GatedFeedForward {
    block.feed_forward.get_mut().unwrap()
}
