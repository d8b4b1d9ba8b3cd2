//! Error messages for models that cannot be run.

use mc_decoder::program::{Decoder, Head};
use mc_graph::rotary::RotaryScaling;
use mc_runtime::logits::LogitPositions;
use mc_runtime::model::Model;
use mc_runtime::weight::Weight;
use mc_tensor::model_tensor::ModelTensor;

use crate::toy;

fn refusal(decoder: Decoder) -> String {
    let weights = toy::weights(&toy::decoder());
    Model::new(&decoder, weights).unwrap_err().to_string()
}

#[test]
fn a_missing_tensor_is_named() {
    assert_eq!(
        refusal(Decoder { head: Head::Untied, ..toy::decoder() }),
        "Tensor `output` is missing; expected shape [41, 32]"
    );
    let mut deeper = toy::decoder();
    deeper.blocks.push(deeper.blocks[0].clone());
    assert_eq!(refusal(deeper), "Tensor `block 2 attn-norm` is missing; expected shape [32]");
}

#[test]
fn a_wrong_shape_is_named_with_both_shapes() {
    let wider = toy::each_block(toy::decoder(), |block| toy::feed_forward(block).n_ff = 60);
    assert_eq!(refusal(wider), "Tensor `block 0 ffn-gate` has shape [50, 32]; expected [60, 32]");
    let divided = toy::each_block(toy::decoder(), |block| {
        block.attention_mut().unwrap().rotary.as_mut().unwrap().scaling =
            RotaryScaling::Divisors { factor: 1.0 };
    });
    let mut weights = toy::weights(&toy::decoder());
    weights.insert(ModelTensor::RopeFreqs, Weight::from_f32(vec![3], vec![1.0; 3]).unwrap());
    let factors = Model::new(&divided, weights).unwrap_err().to_string();
    assert_eq!(factors, "Tensor `rope-freqs` has shape [3]; expected [4]");
}

#[test]
fn a_program_that_contradicts_itself_is_refused() {
    let heads = toy::each_block(toy::decoder(), |block| block.attention_mut().unwrap().n_kv_heads = 3);
    assert_eq!(
        refusal(heads),
        "The program is inconsistent: block 0: Operator `attention`: expected a multiple of the key heads; found 4 query \
         heads over 3 key heads of 12 dimensions"
    );
    let odd = toy::each_block(toy::decoder(), |block| {
        block.attention_mut().unwrap().rotary.as_mut().unwrap().n_dims = 7;
    });
    assert!(refusal(odd).contains("expected one divisor per pair of 7 dimensions"));
    assert!(refusal(Decoder { blocks: Vec::new(), ..toy::decoder() }).contains("found 41, 32 and 0"));
}

#[test]
fn tokens_and_caches_that_do_not_fit_are_refused() {
    let model = toy::model(toy::decoder());
    let error = |tokens: &[u32], capacity| {
        let mut cache = model.new_cache(capacity);
        model.forward(tokens, &mut cache, &LogitPositions::All, None).unwrap_err().to_string()
    };
    assert_eq!(error(&[3, 41], 9), "Token 41 is out of range; the vocabulary has 41 tokens");
    assert_eq!(error(&[], 9), "The sequence is empty; expected at least one token");
    assert_eq!(error(&[1, 2, 3], 2), "The sequence needs 3 positions; the key-value cache holds 2");
    let mut shallow = toy::decoder();
    shallow.blocks.pop();
    let mut foreign = toy::model(shallow).new_cache(9);
    let foreign = model.forward(&[1], &mut foreign, &LogitPositions::All, None).unwrap_err();
    assert!(foreign.to_string().contains("made for another program"));
}

fn first_infinity(tensor: ModelTensor, index: usize, value: f32) -> String {
    let decoder = toy::decoder();
    let mut weights = toy::weights(&decoder);
    let mut values = weights.get(tensor).unwrap().to_f32();
    values[index] = value;
    let shape = weights.get(tensor).unwrap().shape().to_vec();
    weights.insert(tensor, Weight::from_f32(shape, values).unwrap());
    let model = Model::new(&decoder, weights).unwrap();
    let mut cache = model.new_cache(8);
    let error = model.forward(&[1, 2, 3], &mut cache, &LogitPositions::All, None).unwrap_err();
    assert_eq!(cache.n_positions(), 0);
    cache.truncate(0).unwrap();
    error.to_string()
}

#[test]
fn a_value_that_is_not_finite_is_traced_to_its_block() {
    let infinite = first_infinity(ModelTensor::FfnUp { block: 1 }, 40, f32::INFINITY);
    assert!(infinite.contains("first seen in block 1 feed-forward at position 0"), "{infinite}");
    let nan = first_infinity(ModelTensor::AttnV { block: 0 }, 7, f32::NAN);
    assert!(nan.contains("first seen in block 0 attention at position 0"), "{nan}");
    let embedded = first_infinity(ModelTensor::TokenEmbedding, 2 * 32, f32::NAN);
    assert!(embedded.contains("first seen in the token embedding at position 1"), "{embedded}");
    let head = first_infinity(ModelTensor::TokenEmbedding, 30 * 32, f32::NAN);
    assert!(head.contains("first seen in the head at position 0"), "{head}");
}
