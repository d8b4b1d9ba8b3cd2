//! Small models with made-up weights.

use mc_decoder::program::{
    Activation, Attention, Block, Decoder, FeedForward, Head, Mixer, Norm, QkNorm, Rotary, RotaryPairing,
    RotaryScaling, Scales,
};
use mc_runtime::model::Model;
use mc_runtime::random::Random;
use mc_runtime::weight::Weight;
use mc_runtime::weights::Weights;
use mc_tensor::model_tensor::ModelTensor;

/// A head is twelve wide, so that rows of heads are no whole number of lanes.
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
        mixer: Mixer::Attention(attention),
        post_attn_norm: None,
        ffn_norm: Some(Norm { epsilon: 1e-6 }),
        feed_forward: FeedForward { n_ff: 50, activation: Activation::Silu, is_fused: false, experts: None },
        post_ffn_norm: None,
    };
    Decoder {
        architecture: "llama".to_owned(),
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

/// Sets something in every block.
pub(crate) fn each_block(mut decoder: Decoder, mut change: impl FnMut(&mut Block)) -> Decoder {
    decoder.blocks.iter_mut().for_each(&mut change);
    decoder
}

/// All tensors that a program needs, with their shapes.
pub(crate) fn shapes(decoder: &Decoder) -> Vec<(ModelTensor, Vec<usize>)> {
    let (n_vocab, n_embd) = (decoder.n_vocab as usize, decoder.n_embd as usize);
    let mut shapes =
        vec![(ModelTensor::TokenEmbedding, vec![n_vocab, n_embd]), (ModelTensor::OutputNorm, vec![n_embd])];
    if decoder.head == Head::Untied {
        shapes.push((ModelTensor::Output, vec![n_vocab, n_embd]));
    }
    for (block, layer) in (0u32..).zip(&decoder.blocks) {
        let attention = layer.attention().unwrap();
        let n_q = (attention.n_heads * attention.head_dim) as usize;
        let n_kv = (attention.n_kv_heads * attention.head_dim) as usize;
        let n_ff = layer.feed_forward.n_ff as usize;
        shapes.extend([
            (ModelTensor::AttnNorm { block }, vec![n_embd]),
            (ModelTensor::AttnQ { block }, vec![n_q, n_embd]),
            (ModelTensor::AttnK { block }, vec![n_kv, n_embd]),
            (ModelTensor::AttnV { block }, vec![n_kv, n_embd]),
            (ModelTensor::AttnOutput { block }, vec![n_embd, n_q]),
            (ModelTensor::FfnNorm { block }, vec![n_embd]),
            (ModelTensor::FfnGate { block }, vec![n_ff, n_embd]),
            (ModelTensor::FfnUp { block }, vec![n_ff, n_embd]),
            (ModelTensor::FfnDown { block }, vec![n_embd, n_ff]),
        ]);
        if attention.qkv_bias {
            shapes.extend([
                (ModelTensor::AttnQBias { block }, vec![n_q]),
                (ModelTensor::AttnKBias { block }, vec![n_kv]),
                (ModelTensor::AttnVBias { block }, vec![n_kv]),
            ]);
        }
        if attention.output_bias {
            shapes.push((ModelTensor::AttnOutputBias { block }, vec![n_embd]));
        }
    }
    shapes
}

/// Weights of about unit gain.
pub(crate) fn weights(decoder: &Decoder) -> Weights {
    let mut random = Random::new(11);
    let fill = |(tensor, shape): (ModelTensor, Vec<usize>)| {
        let n = shape.iter().product::<usize>();
        let (center, spread) = match (shape.len(), tensor) {
            (2, ModelTensor::TokenEmbedding) => (0.0, 1.0),
            (2, _) => (0.0, 2.0 / (shape[1] as f64).sqrt()),
            _ => (if tensor.role().ends_with("norm") { 1.0 } else { 0.0 }, 0.3),
        };
        let values = (0..n).map(|_| (center + spread * (2.0 * random.next_f64() - 1.0)) as f32).collect();
        (tensor, Weight::from_f32(shape, values).unwrap())
    };
    shapes(decoder).into_iter().map(fill).collect()
}

/// A model with those weights.
pub(crate) fn model(decoder: Decoder) -> Model {
    let weights = weights(&decoder);
    Model::new(decoder, weights).unwrap()
}

/// Some tokens of the vocabulary.
pub(crate) fn tokens(n: usize) -> Vec<u32> {
    let mut random = Random::new(5);
    (0..n).map(|_| (random.next_u64() % 41) as u32).collect()
}

/// The bits of numbers, for comparisons that allow nothing.
pub(crate) fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}
