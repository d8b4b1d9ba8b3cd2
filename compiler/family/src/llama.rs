//! The Llama family: Llama 2 to 3.2 and models of the same shape.
//!
//! Source: `modeling_llama.py` and `configuration_llama.py` of Transformers; the rotary factors are those that
//! `convert_hf_to_gguf.py` of llama.cpp writes.

use std::f32::consts::TAU;

use mc_decoder::program::{
    Activation, Attention, Block, Decoder, FeedForward, Head, Norm, Rotary, RotaryPairing, RotaryScaling,
};
use mc_tensor::math;
use mc_tensor::model_tensor::ModelTensor;
use serde_json::Value;

use crate::config::{CONFIG, Config};
use crate::error::FamilyError;
use crate::family::Family;

/// The Llama family.
pub struct Llama;

const ARCHITECTURES: &[&str] = &["LlamaForCausalLM"];

// A configuration is foreign input: a layer costs memory before any tensor is seen.
const MAX_BLOCKS: u32 = 10_000;

/// A name after `model.layers.N.` and what it is for in layer `N`.
type BlockName = (&'static str, fn(u32) -> ModelTensor);

/// The tensors of a layer by their name after `model.layers.N.`.
const BLOCK_NAMES: &[BlockName] = &[
    ("input_layernorm.weight", |block| ModelTensor::AttnNorm { block }),
    ("self_attn.q_proj.weight", |block| ModelTensor::AttnQ { block }),
    ("self_attn.k_proj.weight", |block| ModelTensor::AttnK { block }),
    ("self_attn.v_proj.weight", |block| ModelTensor::AttnV { block }),
    ("self_attn.o_proj.weight", |block| ModelTensor::AttnOutput { block }),
    ("self_attn.q_proj.bias", |block| ModelTensor::AttnQBias { block }),
    ("self_attn.k_proj.bias", |block| ModelTensor::AttnKBias { block }),
    ("self_attn.v_proj.bias", |block| ModelTensor::AttnVBias { block }),
    ("self_attn.o_proj.bias", |block| ModelTensor::AttnOutputBias { block }),
    ("post_attention_layernorm.weight", |block| ModelTensor::FfnNorm { block }),
    ("mlp.gate_proj.weight", |block| ModelTensor::FfnGate { block }),
    ("mlp.up_proj.weight", |block| ModelTensor::FfnUp { block }),
    ("mlp.down_proj.weight", |block| ModelTensor::FfnDown { block }),
];

/// The tensors outside the layers.
const NAMES: &[(&str, ModelTensor)] = &[
    ("model.embed_tokens.weight", ModelTensor::TokenEmbedding),
    ("model.norm.weight", ModelTensor::OutputNorm),
    ("lm_head.weight", ModelTensor::Output),
];

impl Family for Llama {
    fn name(&self) -> &'static str {
        "llama"
    }

    fn architectures(&self) -> &'static [&'static str] {
        ARCHITECTURES
    }

    fn decoder(&self, config: &Value) -> Result<Decoder, FamilyError> {
        let config = Config::new(CONFIG, config)?;
        refuse_unsupported(&config)?;
        let n_embd = config.need_count("hidden_size")?;
        let n_blocks = config.need_count("num_hidden_layers")?;
        if n_blocks > MAX_BLOCKS {
            return Err(config.bad("num_hidden_layers", &format!("at most {MAX_BLOCKS}")));
        }
        let norm = Norm { epsilon: config.need_positive("rms_norm_eps")? as f32 };
        let block = Block {
            attn_norm: norm,
            attention: attention(&config, n_embd)?,
            ffn_norm: norm,
            feed_forward: FeedForward {
                n_ff: config.need_count("intermediate_size")?,
                activation: Activation::Silu,
            },
        };
        Ok(Decoder {
            architecture: self.name().to_owned(),
            context_length: config.need_count("max_position_embeddings")?,
            n_embd,
            n_vocab: config.need_count("vocab_size")?,
            blocks: vec![block; n_blocks as usize],
            output_norm: norm,
            head: if config.flag("tie_word_embeddings")? { Head::Tied } else { Head::Untied },
        })
    }

    fn tensor(&self, name: &str) -> Option<ModelTensor> {
        if let Some((_, tensor)) = NAMES.iter().find(|(known, _)| *known == name) {
            return Some(*tensor);
        }
        let (number, rest) = name.strip_prefix("model.layers.")?.split_once('.')?;
        let block: u32 = number.parse().ok()?;
        // `03` and `+3` would be second names of the same tensor.
        if block.to_string() != number {
            return None;
        }
        BLOCK_NAMES.iter().find(|(known, _)| *known == rest).map(|(_, tensor)| tensor(block))
    }

    fn checkpoint_name(&self, tensor: ModelTensor) -> Option<String> {
        if let Some(block) = tensor.block() {
            let (name, _) = BLOCK_NAMES.iter().find(|(_, known)| known(block) == tensor)?;
            return Some(format!("model.layers.{block}.{name}"));
        }
        NAMES.iter().find(|(_, known)| *known == tensor).map(|(name, _)| (*name).to_owned())
    }

    fn tensors(&self, decoder: &Decoder) -> Vec<(ModelTensor, Vec<u64>)> {
        let (n_embd, n_vocab) = (u64::from(decoder.n_embd), u64::from(decoder.n_vocab));
        let mut tensors = vec![(ModelTensor::TokenEmbedding, vec![n_vocab, n_embd])];
        for (number, block) in (0..).zip(&decoder.blocks) {
            push_block(&mut tensors, number, block, n_embd);
        }
        tensors.push((ModelTensor::OutputNorm, vec![n_embd]));
        if decoder.head == Head::Untied {
            tensors.push((ModelTensor::Output, vec![n_vocab, n_embd]));
        }
        tensors
    }

    fn ignored(&self, name: &str) -> bool {
        name.ends_with(".rotary_emb.inv_freq")
    }

    fn rotary_heads(&self, tensor: ModelTensor, decoder: &Decoder) -> Option<u32> {
        let attention = &decoder.blocks.get(tensor.block()? as usize)?.attention;
        match tensor {
            ModelTensor::AttnQ { .. } | ModelTensor::AttnQBias { .. } => Some(attention.n_heads),
            ModelTensor::AttnK { .. } | ModelTensor::AttnKBias { .. } => Some(attention.n_kv_heads),
            _ => None,
        }
    }

    fn rope_factors(&self, decoder: &Decoder) -> Option<Vec<f32>> {
        let rotary = decoder.blocks.first()?.attention.rotary.as_ref()?;
        let RotaryScaling::Llama3 { factor, low_freq_factor, high_freq_factor, original_context } =
            rotary.scaling
        else {
            return None;
        };
        let ramp =
            Ramp { factor, low_freq_factor, high_freq_factor, original_context: original_context as f32 };
        let factors =
            (0..rotary.n_dims / 2).map(|pair| ramp.factor(frequency(rotary.base, 2 * pair, rotary.n_dims)));
        Some(factors.collect())
    }
}

// Keys of which every value but one means another model than the one we would run.
fn refuse_unsupported(config: &Config<'_>) -> Result<(), FamilyError> {
    if config.get("quantization_config").is_some() {
        return Err(config
            .unsupported("quantization_config", "start from the checkpoint with 16-bit or 32-bit weights"));
    }
    if config.text("hidden_act")?.unwrap_or("silu") != "silu" {
        return Err(config.unsupported("hidden_act", "expected `\"silu\"`"));
    }
    if config.flag("mlp_bias")? {
        return Err(config.unsupported("mlp_bias", "expected `false`"));
    }
    Ok(())
}

fn attention(config: &Config<'_>, n_embd: u32) -> Result<Attention, FamilyError> {
    let n_heads = config.need_count("num_attention_heads")?;
    let n_kv_heads = config.count("num_key_value_heads")?.unwrap_or(n_heads);
    if !n_heads.is_multiple_of(n_kv_heads) {
        let expected = format!("a divisor of `num_attention_heads`, which is {n_heads}");
        return Err(config.bad("num_key_value_heads", &expected));
    }
    let head_dim = match config.count("head_dim")? {
        Some(head_dim) => head_dim,
        None if n_embd.is_multiple_of(n_heads) => n_embd / n_heads,
        None => {
            let expected = format!("a divisor of `hidden_size`, which is {n_embd}, or a `head_dim`");
            return Err(config.bad("num_attention_heads", &expected));
        }
    };
    if !head_dim.is_multiple_of(2) {
        let key = if config.get("head_dim").is_some() { "head_dim" } else { "hidden_size" };
        return Err(config.bad(key, &format!("heads of even width for the rotary pairs, not {head_dim}")));
    }
    let bias = config.flag("attention_bias")?;
    Ok(Attention {
        n_heads,
        n_kv_heads,
        head_dim,
        scale: 1.0 / (head_dim as f32).sqrt(),
        qkv_bias: bias,
        output_bias: bias,
        rotary: Some(rotary(config, head_dim)?),
    })
}

// Transformers 5 moved everything rotary into `rope_parameters`.
fn rotary(config: &Config<'_>, head_dim: u32) -> Result<Rotary, FamilyError> {
    let parameters = match config.object("rope_parameters")? {
        Some(parameters) => Some(parameters),
        None => config.object("rope_scaling")?,
    };
    let base = match parameters
        .as_ref()
        .map(|parameters| parameters.positive("rope_theta"))
        .transpose()?
        .flatten()
    {
        Some(base) => base,
        None => config.positive("rope_theta")?.unwrap_or(10_000.0),
    };
    for holder in [Some(config), parameters.as_ref()].into_iter().flatten() {
        if holder.positive("partial_rotary_factor")?.is_some_and(|part| part != 1.0) {
            return Err(holder.unsupported("partial_rotary_factor", "expected 1"));
        }
    }
    Ok(Rotary {
        n_dims: head_dim,
        base: base as f32,
        scaling: parameters.as_ref().map_or(Ok(RotaryScaling::None), scaling)?,
        pairing: RotaryPairing::HalfSplit,
    })
}

fn scaling(parameters: &Config<'_>) -> Result<RotaryScaling, FamilyError> {
    // Older configurations say `type`.
    let key = if parameters.get("rope_type").is_some() { "rope_type" } else { "type" };
    let number = |key| parameters.need_positive(key).map(|number| number as f32);
    match parameters.text(key)?.unwrap_or("default") {
        "default" => Ok(RotaryScaling::None),
        "linear" => Ok(RotaryScaling::Linear { factor: number("factor")? }),
        "llama3" => {
            let (low_freq_factor, high_freq_factor) =
                (number("low_freq_factor")?, number("high_freq_factor")?);
            if high_freq_factor <= low_freq_factor {
                let expected = format!("more than `low_freq_factor`, which is {low_freq_factor}");
                return Err(parameters.bad("high_freq_factor", &expected));
            }
            Ok(RotaryScaling::Llama3 {
                factor: number("factor")?,
                low_freq_factor,
                high_freq_factor,
                original_context: parameters.need_count("original_max_position_embeddings")?,
            })
        }
        _ => Err(parameters.unsupported(key, "expected `\"default\"`, `\"linear\"` or `\"llama3\"`")),
    }
}

fn push_block(tensors: &mut Vec<(ModelTensor, Vec<u64>)>, block: u32, shape: &Block, n_embd: u64) {
    let attention = &shape.attention;
    let q_rows = u64::from(attention.n_heads) * u64::from(attention.head_dim);
    let kv_rows = u64::from(attention.n_kv_heads) * u64::from(attention.head_dim);
    let n_ff = u64::from(shape.feed_forward.n_ff);
    tensors.extend([
        (ModelTensor::AttnNorm { block }, vec![n_embd]),
        (ModelTensor::AttnQ { block }, vec![q_rows, n_embd]),
        (ModelTensor::AttnK { block }, vec![kv_rows, n_embd]),
        (ModelTensor::AttnV { block }, vec![kv_rows, n_embd]),
        (ModelTensor::AttnOutput { block }, vec![n_embd, q_rows]),
    ]);
    if attention.qkv_bias {
        tensors.extend([
            (ModelTensor::AttnQBias { block }, vec![q_rows]),
            (ModelTensor::AttnKBias { block }, vec![kv_rows]),
            (ModelTensor::AttnVBias { block }, vec![kv_rows]),
        ]);
    }
    if attention.output_bias {
        tensors.push((ModelTensor::AttnOutputBias { block }, vec![n_embd]));
    }
    tensors.extend([
        (ModelTensor::FfnNorm { block }, vec![n_embd]),
        (ModelTensor::FfnGate { block }, vec![n_ff, n_embd]),
        (ModelTensor::FfnUp { block }, vec![n_ff, n_embd]),
        (ModelTensor::FfnDown { block }, vec![n_embd, n_ff]),
    ]);
}

/// The frequency of one pair: `base^(-dim / n_dims)`.
fn frequency(base: f32, dim: u32, n_dims: u32) -> f32 {
    let exponent = dim as f32 / n_dims as f32;
    1.0 / math::pow(f64::from(base), f64::from(exponent)) as f32
}

/// Llama 3.1's stretching, step by step in f32 and with a reciprocal where the reference converter takes one, so
/// that the factors have its bits.
struct Ramp {
    factor: f32,
    low_freq_factor: f32,
    high_freq_factor: f32,
    original_context: f32,
}

impl Ramp {
    fn factor(&self, frequency: f32) -> f32 {
        let wavelength = (1.0 / frequency) * TAU;
        if wavelength < self.original_context / self.high_freq_factor {
            return 1.0;
        }
        if wavelength > self.original_context / self.low_freq_factor {
            return self.factor;
        }
        let position = (1.0 / wavelength) * self.original_context - self.low_freq_factor;
        let smooth = position / (self.high_freq_factor - self.low_freq_factor);
        1.0 / ((1.0 - smooth) / self.factor + smooth)
    }
}
