//! Logits: correct within f32 precision, and bit-identical however they are computed.

use std::sync::Arc;

use mc_decoder::activation::Activation;
use mc_decoder::program::{Decoder, Head};
use mc_graph::rotary::{RotaryPairing, RotaryScaling};
use mc_runtime::cpu_exact::CpuExact;
use mc_runtime::logits::{LogitPositions, Logits};
use mc_runtime::model::Model;
use mc_runtime::weight::Weight;
use mc_runtime::weight_bytes::WeightBytes;
use mc_runtime::weights::Weights;
use mc_tensor::cpu_path::CpuPath;
use mc_tensor::model_tensor::ModelTensor;

use crate::{reference, toy};

fn all_logits(model: &Model, tokens: &[u32]) -> Logits {
    let mut cache = model.new_cache(tokens.len());
    model.forward(tokens, &mut cache, &LogitPositions::All, None).unwrap()
}

fn check_against_reference(decoder: Decoder) {
    let weights = toy::weights(&decoder);
    let tokens = toy::tokens(37);
    let (expected, _) = reference::logits(&decoder, &weights, &tokens);
    let logits = all_logits(&Model::new(&decoder, weights).unwrap(), &tokens);
    assert_eq!(logits.n_rows(), 37);
    for (row, expected) in logits.rows().zip(&expected) {
        for (found, expected) in row.iter().zip(expected) {
            assert!((f64::from(*found) - expected).abs() < 1e-4, "{found} {expected}");
        }
    }
}

#[test]
fn logits_agree_with_the_reference() {
    check_against_reference(toy::decoder());
}

#[test]
fn logits_agree_for_interleaved_pairs_and_linear_scaling() {
    check_against_reference(toy::decoder().with_pairing(RotaryPairing::Interleaved));
    check_against_reference(toy::each_block(toy::decoder(), |block| {
        block.attention_mut().unwrap().rotary.as_mut().unwrap().scaling =
            RotaryScaling::Linear { factor: 4.0 };
    }));
}

#[test]
fn logits_agree_for_a_gate_of_gelu() {
    check_against_reference(toy::each_block(toy::decoder(), |block| {
        toy::feed_forward(block).activation = Activation::GeluTanh;
    }));
}

#[test]
fn logits_agree_with_biases_and_a_head_of_its_own_and_without_positions() {
    let biased = toy::each_block(toy::decoder(), |block| {
        block.attention_mut().unwrap().qkv_bias = true;
        block.attention_mut().unwrap().output_bias = true;
    });
    check_against_reference(Decoder { head: Head::Untied, ..biased });
    check_against_reference(toy::each_block(toy::decoder(), |block| {
        block.attention_mut().unwrap().rotary = None;
    }));
}

#[test]
fn permuted_rows_with_interleaved_pairs_are_the_same_model() {
    let decoder = toy::decoder();
    let weights = toy::weights(&decoder);
    let permute = |(tensor, shape): (ModelTensor, Vec<usize>)| {
        let values = weights.get(tensor).unwrap().to_f32();
        if !matches!(tensor, ModelTensor::AttnQ { .. } | ModelTensor::AttnK { .. }) {
            return (tensor, Weight::from_f32(shape, values).unwrap());
        }
        // Of the twelve rows of a head, eight rotate: pairs (i, i + 4) become (2i, 2i + 1).
        let source = |row: usize| match row % 12 {
            d if d < 8 => row - d + d / 2 + d % 2 * 4,
            _ => row,
        };
        let rows = (0..shape[0]).flat_map(|row| values[source(row) * shape[1]..][..shape[1]].to_vec());
        (tensor, Weight::from_f32(shape.clone(), rows.collect()).unwrap())
    };
    let permuted: Weights = toy::shapes(&decoder).into_iter().map(permute).collect();
    let tokens = toy::tokens(20);
    let expected = all_logits(&toy::model(decoder.clone()), &tokens);
    let interleaved = decoder.with_pairing(RotaryPairing::Interleaved);
    let found = all_logits(&Model::new(&interleaved, permuted).unwrap(), &tokens);
    for (a, b) in found.values().iter().zip(expected.values()) {
        assert!((a - b).abs() < 1e-4, "{a} {b}");
    }
}

#[test]
fn batches_of_any_size_give_the_same_bits() {
    let model = toy::model(toy::decoder());
    let tokens = toy::tokens(75);
    let expected = toy::bits(all_logits(&model, &tokens).values());
    for batch in [1, 2, 3, 7, 32, 33, 74] {
        let mut cache = model.new_cache(75);
        let mut found = Vec::new();
        for batch in tokens.chunks(batch) {
            let logits = model.forward(batch, &mut cache, &LogitPositions::All, None).unwrap();
            found.extend(toy::bits(logits.values()));
        }
        assert!(found == expected, "batches of {batch}");
    }
}

#[test]
fn every_path_and_number_of_threads_gives_the_same_bits() {
    let decoder = toy::decoder();
    let tokens = toy::tokens(70);
    let run = |path, n_threads| {
        let backend = Arc::new(CpuExact::on_path(path));
        let model = Model::with_backend(&decoder, toy::weights(&decoder), backend).unwrap();
        let pool = rayon::ThreadPoolBuilder::new().num_threads(n_threads).build().unwrap();
        pool.install(|| toy::bits(all_logits(&model, &tokens).values()))
    };
    let expected = run(CpuPath::BASELINE, 1);
    for path in CpuPath::available() {
        for n_threads in [1, 2, 5] {
            assert!(run(path, n_threads) == expected, "{} with {n_threads} threads", path.name());
        }
    }
}

#[test]
fn logits_of_some_positions_are_those_of_all() {
    let model = toy::model(toy::decoder());
    let tokens = toy::tokens(9);
    let all = all_logits(&model, &tokens);
    let logits = |positions| model.forward(&tokens, &mut model.new_cache(9), &positions, None).unwrap();
    let last = logits(LogitPositions::Last);
    assert_eq!((last.n_rows(), last.row(0)), (1, all.row(8)));
    let some = logits(LogitPositions::Range(3..5));
    assert_eq!((some.n_rows(), some.row(0), some.row(1)), (2, all.row(3), all.row(4)));
    assert_eq!(logits(LogitPositions::Range(7..99)).n_rows(), 2);
    assert_eq!(logits(LogitPositions::Range(0..0)).n_rows(), 0);
}

#[test]
fn a_truncated_cache_continues_as_if_the_rest_had_never_existed() {
    let model = toy::model(toy::decoder());
    let tokens = toy::tokens(12);
    let mut cache = model.new_cache(40);
    model.forward(&tokens, &mut cache, &LogitPositions::Last, None).unwrap();
    cache.truncate(5).unwrap();
    let again = model.forward(&tokens[5..], &mut cache, &LogitPositions::Last, None).unwrap();
    assert_eq!(again.row(0), all_logits(&model, &tokens).row(11));
    assert_eq!(cache.n_positions(), 12);
}

#[test]
fn quantized_weights_give_the_logits_of_their_decoded_values() {
    let decoder = toy::each_block(toy::decoder(), |block| toy::feed_forward(block).n_ff = 64);
    let weights = toy::weights(&decoder);
    let codec = mc_encoding::codecs::by_name("Q8_0").unwrap();
    let (mut quantized, mut decoded) = (Weights::new(), Weights::new());
    for (tensor, shape) in toy::shapes(&decoder) {
        let values = weights.get(tensor).unwrap().to_f32();
        if !tensor.is_quantizable() || shape[1] % 32 != 0 {
            for weights in [&mut quantized, &mut decoded] {
                weights.insert(tensor, Weight::from_f32(shape.clone(), values.clone()).unwrap());
            }
            continue;
        }
        let mut blocks = vec![0; shape[0] * codec.row_bytes(shape[1])];
        codec.encode(&values, shape[1], None, &mut blocks);
        let weight = Weight::blocks(shape.clone(), codec, WeightBytes::owned(blocks)).unwrap();
        decoded.insert(tensor, Weight::from_f32(shape, weight.to_f32()).unwrap());
        quantized.insert(tensor, weight);
    }
    let tokens = toy::tokens(11);
    let expected = all_logits(&Model::new(&decoder, decoded).unwrap(), &tokens);
    let found = all_logits(&Model::new(&decoder, quantized).unwrap(), &tokens);
    assert_eq!(toy::bits(found.values()), toy::bits(expected.values()));
}

#[test]
fn rotary_factors_divide_the_frequencies() {
    let decoder = toy::decoder();
    let scaled = toy::each_block(decoder.clone(), |block| {
        block.attention_mut().unwrap().rotary.as_mut().unwrap().scaling =
            RotaryScaling::Linear { factor: 4.0 };
    });
    let decoder = toy::each_block(decoder, |block| {
        block.attention_mut().unwrap().rotary.as_mut().unwrap().scaling =
            RotaryScaling::Divisors { factor: 1.0 };
    });
    let mut weights = toy::weights(&decoder);
    weights.insert(ModelTensor::RopeFreqs, Weight::from_f32(vec![4], vec![4.0; 4]).unwrap());
    let tokens = toy::tokens(20);
    let expected = all_logits(&toy::model(scaled), &tokens);
    let found = all_logits(&Model::new(&decoder, weights).unwrap(), &tokens);
    assert_eq!(toy::bits(found.values()), toy::bits(expected.values()));
}
