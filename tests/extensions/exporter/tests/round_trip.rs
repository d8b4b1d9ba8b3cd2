//! A model is written with int4 matrices in planes, read back, and run by the reference evaluation of the graph.

use std::collections::BTreeMap;

use another_exporter::{GRAPH, GraphExporter, plane_name};
use mc_decoder::activation::Activation;
use mc_decoder::kind::Kind;
use mc_decoder::kinds::attention::{Attention, QkNorm};
use mc_decoder::kinds::gated_feed_forward::GatedFeedForward;
use mc_decoder::lower::lower;
use mc_decoder::norm::Norm;
use mc_decoder::program::{Block, Decoder, Head, Scales};
use mc_decoder::rotary::Rotary;
use mc_encoding::codec::Rows;
use mc_encoding::blocks::plain;
use mc_encoding::encoding::Encoding;
use mc_encoding::stored_form::StoredForm;
use mc_exporter::exporter::Exporter;
use mc_exporter::model_description::ModelDescription;
use mc_exporter::plane::{EncodedTensor, Part};
use mc_graph::evaluate::Sequence;
use mc_graph::graph::Graph;
use mc_graph::json;
use mc_graph::rotary::{RotaryPairing, RotaryScaling};
use mc_graph::tensor::Tensor;
use mc_safetensors::header::Header;
use mc_tensor::dtype::DType;
use mc_tensor::model_tensor::ModelTensor;

const TOKENS: [u32; 6] = [3, 1, 4, 1, 5, 9];
const N_COLS: u32 = 32;

fn decoder() -> Decoder {
    let norm = Norm { epsilon: 1e-5 };
    let rotary = Rotary {
        n_dims: 8,
        base: 10_000.0,
        scaling: RotaryScaling::None,
        pairing: RotaryPairing::HalfSplit,
    };
    let attention = Attention {
        n_heads: 4,
        n_kv_heads: 2,
        head_dim: 8,
        scale: 0.35,
        is_fused: false,
        qkv_bias: false,
        output_bias: false,
        qk_norm: QkNorm::PerHead(norm),
        rotary: Some(rotary),
        window: Some(4),
        soft_cap: None,
    };
    let block = Block {
        attn_norm: Some(norm),
        mixer: Kind::new(attention),
        post_attn_norm: None,
        ffn_norm: Some(norm),
        feed_forward: Kind::new(GatedFeedForward { n_ff: 64, activation: Activation::Silu, is_fused: false }),
        post_ffn_norm: None,
    };
    Decoder {
        family: "another".to_owned(),
        context_length: 16,
        n_embd: N_COLS,
        n_vocab: 11,
        blocks: vec![block; 2],
        output_norm: norm,
        head: Head::Tied,
        scales: Scales::ONE,
        logit_soft_cap: None,
    }
}

/// Each tensor with made-up numbers.
fn tensors(decoder: &Decoder) -> Vec<(ModelTensor, Tensor)> {
    let tensor = |(place, needed): (usize, mc_decoder::needed::Needed)| {
        let shape: Vec<usize> = needed.shape.iter().map(|n| *n as usize).collect();
        let number = |i: usize| ((i * 7919 + place * 104_729) % 1009) as f32 / 1009.0 - 0.5;
        let values = (0..shape.iter().product()).map(number).collect();
        (needed.tensor, Tensor::new(shape, values))
    };
    decoder.tensors().enumerate().map(tensor).collect()
}

fn int4() -> Encoding {
    "int4-g32".parse().unwrap()
}

/// A tensor as the file holds it, and the bytes of its planes: matrices in int4, vectors as they are.
fn encoded(tensor: ModelTensor, plain: &Tensor) -> (EncodedTensor, Vec<Vec<u8>>) {
    let shape: Vec<u64> = plain.shape.iter().map(|n| *n as u64).collect();
    if plain.shape.len() == 1 {
        let bytes = plain.values.iter().flat_map(|value| value.to_le_bytes()).collect();
        return (EncodedTensor::blocks(tensor, "", &plain::F32, shape), vec![bytes]);
    }
    let form = StoredForm::Planes { encoding: int4(), weights: DType::F32 };
    let encoded = EncodedTensor::of(tensor, "", form, shape).unwrap();
    let mut bytes = vec![Vec::new(); encoded.planes.len()];
    let rows = Rows { x: &plain.values, n_cols: plain.width(), importance: None };
    int4().encode(&rows, DType::F32, &mut bytes);
    (encoded, bytes)
}

/// The numbers that a tensor's planes stand for.
fn decoded(shape: &[usize], planes: &[&[u8]]) -> Tensor {
    let n = shape.iter().product();
    let mut values = vec![0.0; n];
    match planes {
        [plane] => {
            let words = plane.as_chunks::<4>().0;
            values.copy_from_slice(&words.iter().map(|word| f32::from_le_bytes(*word)).collect::<Vec<_>>());
        }
        planes => int4().decode(planes, shape[shape.len() - 1], DType::F32, &mut values).unwrap(),
    }
    Tensor::new(shape.to_vec(), values)
}

fn logits(graph: &Graph, weights: &BTreeMap<ModelTensor, Tensor>) -> Vec<f32> {
    Sequence::new(graph, weights, 16).run(&TOKENS).unwrap().remove("logits").unwrap().values
}

/// The file: what the exporter writes, with the planes' bytes where it refers to them.
fn write(decoder: &Decoder, tensors: &[(ModelTensor, Tensor)]) -> Vec<u8> {
    let model = ModelDescription::new(decoder);
    assert_eq!(GraphExporter.accepts(&model), []);
    let (encoded, bytes): (Vec<_>, Vec<_>) = tensors.iter().map(|(tensor, plain)| encoded(*tensor, plain)).unzip();
    let planes = GraphExporter.layout(&model, &encoded).unwrap();
    let mut file = Vec::new();
    for part in GraphExporter.write(&model, &encoded, &planes).unwrap().remove(0).parts {
        match part {
            Part::Bytes(made) => file.extend(made),
            Part::Plane(number) => {
                let plane = &planes[number];
                let stored: &Vec<u8> = &bytes[plane.tensor][plane.plane];
                assert_eq!(stored.len() as u64, plane.n_bytes, "{}", plane.name);
                file.extend(stored);
            }
            Part::Zeros(n) => file.resize(file.len() + n as usize, 0),
            Part::Source(name) => unreachable!("{name} is not part of this format"),
        }
    }
    file
}

#[test]
fn a_file_is_run_back_through_the_graphs_reference_evaluation() {
    let decoder = decoder();
    let tensors = tensors(&decoder);
    let file = write(&decoder, &tensors);
    assert_eq!(file, write(&decoder, &tensors), "the same bytes each time");

    let header = Header::parse(&file, file.len() as u64).unwrap();
    let graph = json::read(&serde_json::from_str(&header.metadata[GRAPH]).unwrap()).unwrap();
    let stored = |tensor: ModelTensor| -> Vec<&[u8]> {
        let plane = |role: &&str| header.tensors.iter().find(|info| info.name == plane_name(tensor, role));
        let planes = ["weight", "scales"].iter().filter_map(plane);
        planes.map(|info| &file[info.start as usize..info.end as usize]).collect()
    };
    let weights: BTreeMap<ModelTensor, Tensor> = graph
        .weights()
        .map(|(tensor, _, value_type)| {
            let shape: Vec<usize> = value_type.dims.iter().filter_map(|dim| dim.fixed()).map(|n| n as usize).collect();
            (tensor, decoded(&shape, &stored(tensor)))
        })
        .collect();
    let found = logits(&graph, &weights);

    // The same graph that never left memory, over the same rounded weights.
    let rounded: BTreeMap<ModelTensor, Tensor> = tensors
        .iter()
        .map(|(tensor, plain)| {
            let (_, bytes) = encoded(*tensor, plain);
            let planes: Vec<&[u8]> = bytes.iter().map(Vec::as_slice).collect();
            (*tensor, decoded(&plain.shape, &planes))
        })
        .collect();
    assert_eq!(found, logits(&lower(&decoder).unwrap(), &rounded));
    assert!(found.iter().all(|logit| logit.is_finite()));

    // Near the model that was not rounded, and not the same.
    let exact = logits(&lower(&decoder).unwrap(), &tensors.into_iter().collect());
    let worst = found.iter().zip(&exact).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(worst > 0.0 && worst < 3.0, "{worst}");
}
