//! Speed of the exact kernels: compared with candle's matrix product, and on a model of four million weights.
//!
//! Both run in one process, in turns, because only the ratio is meaningful on a shared machine.

#![expect(clippy::print_stdout, reason = "a benchmark reports to whoever runs it")]

use std::hint::black_box;
use std::time::Instant;

use candle_core::{Device, Tensor};
use mc_decoder::activation::Activation;
use mc_decoder::kind::Kind;
use mc_decoder::kinds::attention::{Attention, QkNorm};
use mc_decoder::kinds::gated_feed_forward::GatedFeedForward;
use mc_decoder::norm::Norm;
use mc_decoder::program::{Block, Decoder, Head, Scales};
use mc_decoder::rotary::Rotary;
use mc_encoding::codecs;
use mc_graph::operators::matmul::Matmul;
use mc_graph::rotary::{RotaryPairing, RotaryScaling};
use mc_graph::scope::Lengths;
use mc_runtime::backend::{Backend, Call, Input, Value};
use mc_runtime::cancellation::Cancellation;
use mc_runtime::chunks::ChunkOptions;
use mc_runtime::cpu_exact::CpuExact;
use mc_runtime::generate::{self, GenerateOptions};
use mc_runtime::imatrix;
use mc_runtime::model::Model;
use mc_runtime::perplexity;
use mc_runtime::random::Random;
use mc_runtime::sampler::Sampling;
use mc_runtime::weight::Weight;
use mc_runtime::weight_bytes::WeightBytes;
use mc_runtime::weights::Weights;
use mc_tensor::cpu_path::CpuPath;
use mc_tensor::dtype::DType;
use mc_tensor::model_tensor::ModelTensor;

fn numbers(n: usize, spread: f64, seed: u64) -> Vec<f32> {
    let mut random = Random::new(seed);
    (0..n).map(|_| (spread * (2.0 * random.next_f64() - 1.0)) as f32).collect()
}

/// The shortest of several runs, in seconds.
fn fastest(mut run: impl FnMut()) -> f64 {
    let time = |_| {
        let start = Instant::now();
        run();
        start.elapsed().as_secs_f64()
    };
    (0..7).map(time).fold(f64::INFINITY, f64::min)
}

fn encoded(values: &[f32], shape: &[usize; 2], encoding: &str) -> Weight {
    let codec = codecs::by_name(encoding).expect("the codec is in the table");
    let mut bytes = vec![0; shape[0] * codec.row_bytes(shape[1])];
    codec.encode(values, shape[1], None, &mut bytes);
    let bytes = WeightBytes::owned(bytes);
    let weight = match encoding {
        "BF16" => Weight::plain(shape.to_vec(), DType::BF16, bytes),
        _ => Weight::blocks(shape.to_vec(), codec, bytes),
    };
    weight.expect("the bytes fill the shape")
}

fn products(n_tokens: usize, n_rows: usize, n_columns: usize) {
    let gigaflop = 2e-9 * (n_tokens * n_rows * n_columns) as f64;
    let report = |name: &str, seconds: f64| println!("  {name:<20} {:>7.1} GFLOP/s", gigaflop / seconds);
    println!("[{n_tokens}, {n_columns}] x [{n_rows}, {n_columns}]^T");
    let values = numbers(n_rows * n_columns, 0.1, 1);
    let input = Tensor::from_vec(numbers(n_tokens * n_columns, 1.0, 2), (n_tokens, n_columns), &Device::Cpu);
    let input = input.expect("the numbers fill the shape");
    let candle = Tensor::from_vec(values.clone(), (n_rows, n_columns), &Device::Cpu);
    let candle = candle.and_then(|weight| weight.t()).expect("the numbers fill the shape");
    let seconds = fastest(|| {
        black_box(input.matmul(&candle).expect("the shapes agree"));
    });
    report("candle f32", seconds);
    let shape = [n_rows, n_columns];
    let plain = Weight::from_f32(shape.to_vec(), values.clone()).expect("the numbers fill the shape");
    for path in CpuPath::available() {
        let backend = CpuExact::on_path(path);
        let seconds = fastest(|| {
            black_box(product(&backend, &input, &plain));
        });
        report(&format!("exact f32 {}", path.name()), seconds);
    }
    // Q4_K has blocks of 256 columns.
    let encodings =
        if n_columns.is_multiple_of(256) { &["BF16", "Q8_0", "Q4_K"][..] } else { &["BF16", "Q8_0"] };
    for encoding in encodings {
        let weight = encoded(&values, &shape, encoding);
        let backend = CpuExact::new();
        let seconds = fastest(|| {
            black_box(product(&backend, &input, &weight));
        });
        report(&format!("exact {encoding}"), seconds);
    }
}

/// `input * weight^T`.
fn product(backend: &CpuExact, input: &Tensor, weight: &Weight) -> Vec<Value> {
    let input = Value::Tensor(input.clone());
    let inputs = vec![Input::Value(&input), Input::Weight(weight)];
    let lengths = Lengths { first_position: 0, n_tokens: 1, n_positions_at_most: 1 };
    let mut call = Call { operator: &Matmul {}, inputs, lengths, device: &Device::Cpu, states: &mut [] };
    backend.run(&mut call).expect("the shapes agree")
}

/// Six layers of width 192, 4096 tokens: 3.5 million weights.
fn small_model() -> Model {
    let rotary = Rotary {
        n_dims: 32,
        base: 10_000.0,
        scaling: RotaryScaling::None,
        pairing: RotaryPairing::HalfSplit,
    };
    let attention = Attention {
        n_heads: 6,
        n_kv_heads: 2,
        head_dim: 32,
        scale: 0.177,
        is_fused: false,
        qkv_bias: false,
        output_bias: false,
        qk_norm: QkNorm::None,
        rotary: Some(rotary),
        window: None,
        soft_cap: None,
    };
    let norm = Norm { epsilon: 1e-5 };
    let feed_forward = GatedFeedForward { n_ff: 576, activation: Activation::Silu, is_fused: false };
    let block = Block {
        attn_norm: Some(norm),
        mixer: Kind::new(attention),
        post_attn_norm: None,
        ffn_norm: Some(norm),
        feed_forward: Kind::new(feed_forward),
        post_ffn_norm: None,
    };
    let decoder = Decoder {
        family: "llama".to_owned(),
        context_length: 1024,
        n_embd: 192,
        n_vocab: 4096,
        blocks: vec![block; 6],
        output_norm: norm,
        head: Head::Tied,
        scales: Scales::ONE,
        logit_soft_cap: None,
    };
    let mut weights = Weights::new();
    let mut add = |tensor, shape: &[usize]| {
        let n = shape.iter().product();
        let spread = if shape.len() == 1 { 1.0 } else { 2.0 / (shape[1] as f64).sqrt() };
        let weight = Weight::from_f32(shape.to_vec(), numbers(n, spread, n as u64));
        weights.insert(tensor, weight.expect("the numbers fill the shape"));
    };
    add(ModelTensor::TokenEmbedding, &[4096, 192]);
    add(ModelTensor::OutputNorm, &[192]);
    for block in 0..6 {
        add(ModelTensor::AttnNorm { block }, &[192]);
        add(ModelTensor::AttnQ { block }, &[192, 192]);
        add(ModelTensor::AttnK { block }, &[64, 192]);
        add(ModelTensor::AttnV { block }, &[64, 192]);
        add(ModelTensor::AttnOutput { block }, &[192, 192]);
        add(ModelTensor::FfnNorm { block }, &[192]);
        add(ModelTensor::FfnGate { block }, &[576, 192]);
        add(ModelTensor::FfnUp { block }, &[576, 192]);
        add(ModelTensor::FfnDown { block }, &[192, 576]);
    }
    Model::new(&decoder, weights).expect("every tensor is there")
}

fn models() {
    let model = small_model();
    let mut random = Random::new(3);
    let tokens: Vec<u32> = (0..20_480).map(|_| (random.next_u64() % 4096) as u32).collect();
    let options = ChunkOptions::for_model(&model, None);
    println!("3.5 million weights");
    let start = Instant::now();
    let result = perplexity::perplexity(&model, &tokens, &options, Cancellation::NEVER)
        .expect("the text is long enough");
    println!("  perplexity, {} tokens {:>6.2} s", tokens.len(), start.elapsed().as_secs_f64());
    black_box(result);
    let start = Instant::now();
    black_box(
        imatrix::imatrix(&model, &tokens, &options, Cancellation::NEVER).expect("the text is long enough"),
    );
    println!("  imatrix, {} tokens    {:>6.2} s", tokens.len(), start.elapsed().as_secs_f64());
    let options = GenerateOptions { sampling: Sampling::Greedy, max_tokens: 400, stop: Vec::new() };
    let start = Instant::now();
    let generated = generate::generate(&model, &[1], &options, |_| std::ops::ControlFlow::Continue(()));
    let n_tokens = generated.expect("the prompt fits").tokens.len();
    println!("  generation            {:>6.0} tokens/s", n_tokens as f64 / start.elapsed().as_secs_f64());
}

fn main() {
    println!("{} threads", rayon::current_num_threads());
    products(512, 2048, 2048);
    products(512, 576, 192);
    products(1, 2048, 2048);
    models();
}
