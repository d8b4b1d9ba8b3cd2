//! LFM2: short convolutions in most layers, attention with normed queries and keys in the others.
//!
//! Source: `modeling_lfm2.py` and `configuration_lfm2.py` of Transformers.

use mc_decoder::kind::Kind;
use mc_decoder::kinds::attention::{Attention, QkNorm};
use mc_decoder::kinds::gated_feed_forward::GatedFeedForward;
use mc_decoder::kinds::short_convolution::ShortConvolution;
use mc_decoder::program::{Block, Decoder, Head};
use mc_tensor::model_tensor::ModelTensor;
use serde_json::Value;

use crate::config::layer_types::layer_types;
use crate::config::outline::{Defaults, Outline, need_count, refuse_flag};
use crate::config::rotary::RotaryDefaults;
use crate::config::{CONFIG, Config};
use crate::error::FamilyError;
use crate::families::llama;
use crate::family::Family;
use crate::names::{LayerName, Names};

/// LFM2.
pub struct Lfm2;

const OUTSIDE: &[(&str, ModelTensor)] = &[
    ("model.embed_tokens.weight", ModelTensor::TokenEmbedding),
    ("model.embedding_norm.weight", ModelTensor::OutputNorm),
    ("lm_head.weight", ModelTensor::Output),
];

const LAYER: &[LayerName] = &[
    ("operator_norm.weight", |block| ModelTensor::AttnNorm { block }),
    ("self_attn.q_proj.weight", |block| ModelTensor::AttnQ { block }),
    ("self_attn.k_proj.weight", |block| ModelTensor::AttnK { block }),
    ("self_attn.v_proj.weight", |block| ModelTensor::AttnV { block }),
    ("self_attn.out_proj.weight", |block| ModelTensor::AttnOutput { block }),
    ("self_attn.q_layernorm.weight", |block| ModelTensor::AttnQNorm { block }),
    ("self_attn.k_layernorm.weight", |block| ModelTensor::AttnKNorm { block }),
    ("conv.conv.weight", |block| ModelTensor::ShortconvConv { block }),
    ("conv.in_proj.weight", |block| ModelTensor::ShortconvInProj { block }),
    ("conv.out_proj.weight", |block| ModelTensor::ShortconvOutProj { block }),
    ("ffn_norm.weight", |block| ModelTensor::FfnNorm { block }),
    ("feed_forward.w1.weight", |block| ModelTensor::FfnGate { block }),
    ("feed_forward.w2.weight", |block| ModelTensor::FfnDown { block }),
    ("feed_forward.w3.weight", |block| ModelTensor::FfnUp { block }),
];

static NAMES: Names = Names { outside: OUTSIDE, layer: &[LAYER], expert: &[] };

const CONVOLUTION: &str = "conv";
const ATTENTION: &str = "full_attention";

const DEFAULTS: Defaults = Defaults {
    family: "lfm2",
    is_tied: true,
    rotary: RotaryDefaults { base: 1e6, may_be_partial: false },
    epsilon: ("norm_eps", Some(1e-5)),
    activation: None,
    counts: &[("conv_L_cache", 3), ("intermediate_size", 12_288), ("num_key_value_heads", 8)],
    ..llama::DEFAULTS
};

impl Family for Lfm2 {
    fn name(&self) -> &'static str {
        "lfm2"
    }

    fn architectures(&self) -> &'static [&'static str] {
        &["Lfm2ForCausalLM", "LFM2ForCausalLM"]
    }

    fn names(&self) -> &'static Names {
        &NAMES
    }

    fn decoder(&self, config: &Value) -> Result<Decoder, FamilyError> {
        let config = Config::new(CONFIG, config)?;
        let outline = Outline::read(&config, &DEFAULTS)?;
        refuse_flag(&config, "conv_bias")?;
        let kernel_len = need_count(&config, &DEFAULTS, "conv_L_cache")?;
        let convolution = Kind::new(ShortConvolution { kernel_len });
        let has_attention = attention_layers(&config, outline.n_blocks)?;
        let n_ff = feed_forward_width(&config)?;
        let decoder = outline.decoder(|block| {
            let attention = Attention { qk_norm: QkNorm::PerHead(outline.norm), ..outline.attention() };
            let block_of = outline.block(attention);
            let feed_forward = Kind::new(GatedFeedForward { n_ff, ..outline.feed_forward });
            let mixer = if has_attention[block as usize] { block_of.mixer } else { convolution.clone() };
            Block { mixer, feed_forward, ..block_of }
        });
        // The key in the first releases.
        let head = match config.get("tie_embedding") {
            None => decoder.head,
            Some(_) if config.flag("tie_embedding")? => Head::Tied,
            Some(_) => Head::Untied,
        };
        Ok(Decoder { head, ..decoder })
    }
}

/// Returns the layers that have attention, by `layer_types`, or by `full_attn_idxs` in the first releases.
fn attention_layers(config: &Config<'_>, n_blocks: u32) -> Result<Vec<bool>, FamilyError> {
    if let Some(types) = layer_types(config, n_blocks, &[CONVOLUTION, ATTENTION])? {
        return Ok(types.into_iter().map(|word| word == ATTENTION).collect());
    }
    const KEY: &str = "full_attn_idxs";
    let expected = "a list with `\"conv\"` or `\"full_attention\"` for each layer";
    let value = config.get(KEY).ok_or_else(|| config.missing("layer_types", expected))?;
    let number = |value: &Value| value.as_u64().filter(|number| *number < u64::from(n_blocks));
    let numbers: Option<Vec<u64>> = value.as_array().and_then(|numbers| numbers.iter().map(number).collect());
    let numbers = numbers.ok_or_else(|| config.bad(KEY, &format!("numbers of layers, below {n_blocks}")))?;
    Ok((0..u64::from(n_blocks)).map(|block| numbers.contains(&block)).collect())
}

/// Returns the width in the weights: two thirds of the configuration's, times a factor, rounded up to a
/// multiple.
fn feed_forward_width(config: &Config<'_>) -> Result<u32, FamilyError> {
    let key = if config.get("block_ff_dim").is_some() { "block_ff_dim" } else { "intermediate_size" };
    let width = need_count(config, &DEFAULTS, key)?;
    if config.get("block_auto_adjust_ff_dim").is_some() && !config.flag("block_auto_adjust_ff_dim")? {
        return Ok(width);
    }
    let multiple = u64::from(config.count("block_multiple_of")?.unwrap_or(256));
    let multiplier = config.positive("block_ffn_dim_multiplier")?.unwrap_or(1.0);
    let two_thirds = (f64::from(width) * 2.0 / 3.0).floor();
    let width = ((multiplier * two_thirds) as u64).min(u64::from(u32::MAX)).div_ceil(multiple) * multiple;
    u32::try_from(width)
        .ok()
        .filter(|width| *width > 0)
        .ok_or_else(|| config.bad(key, "a width that, rounded up to `block_multiple_of`, fits 32 bits"))
}
