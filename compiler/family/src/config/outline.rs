//! Settings that nearly every configuration has under the same keys: widths, heads, norm, rotary embedding
//! and head.
//!
//! A family starts from the outline's block and changes what differs.

use mc_decoder::activation::Activation;
use mc_decoder::kind::Kind;
use mc_decoder::kinds::attention::{Attention, QkNorm};
use mc_decoder::kinds::gated_feed_forward::GatedFeedForward;
use mc_decoder::norm::Norm;
use mc_decoder::program::{Block, Decoder, Head, Scales};
use mc_decoder::rotary::Rotary;

use crate::config::Config;
use crate::config::quantization;
use crate::config::rotary::{self, RotaryDefaults};
use crate::error::FamilyError;

/// Default values and permitted values of a family's configurations.
pub(crate) struct Defaults {
    /// The family's name.
    pub(crate) family: &'static str,
    /// True if the token embedding is also the head.
    pub(crate) is_tied: bool,
    /// Width of a head; if absent, it follows from the number of heads.
    pub(crate) head_dim: Option<u32>,
    /// Rotary embedding.
    pub(crate) rotary: RotaryDefaults,
    /// The key of the norms' epsilon, and its default.
    pub(crate) epsilon: (&'static str, Option<f64>),
    /// The key of the activation.
    pub(crate) activation: Option<&'static str>,
    /// Defaults of whole numbers, by key.
    pub(crate) counts: &'static [(&'static str, u32)],
}

/// The common settings of a configuration.
pub(crate) struct Outline {
    family: &'static str,
    context_length: u32,
    pub(crate) n_embd: u32,
    n_vocab: u32,
    pub(crate) n_blocks: u32,
    pub(crate) norm: Norm,
    pub(crate) n_heads: u32,
    n_kv_heads: u32,
    head_dim: u32,
    pub(crate) rotary: Rotary,
    pub(crate) feed_forward: GatedFeedForward,
    head: Head,
}

impl Outline {
    /// Reads the common keys.
    ///
    /// # Errors
    /// Fails if one is missing, wrong, contradicts another or is not supported.
    pub(crate) fn read(config: &Config<'_>, defaults: &Defaults) -> Result<Self, FamilyError> {
        quantization::stored_scales(config)?;
        let count = |key| need_count(config, defaults, key);
        let n_embd = count("hidden_size")?;
        let n_blocks = count("num_hidden_layers")?;
        let (n_heads, n_kv_heads) = heads(config, defaults)?;
        let head_dim = head_dim(config, defaults, n_embd, n_heads)?;
        let is_tied = match config.get("tie_word_embeddings") {
            Some(_) => config.flag("tie_word_embeddings")?,
            None => defaults.is_tied,
        };
        Ok(Self {
            family: defaults.family,
            context_length: count("max_position_embeddings")?,
            n_embd,
            n_vocab: count("vocab_size")?,
            n_blocks,
            norm: Norm { epsilon: epsilon(config, defaults)? },
            n_heads,
            n_kv_heads,
            head_dim,
            rotary: rotary::rotary(config, head_dim, &defaults.rotary)?,
            feed_forward: GatedFeedForward {
                n_ff: count("intermediate_size")?,
                activation: activation(config, defaults)?,
                is_fused: false,
            },
            head: if is_tied { Head::Tied } else { Head::Untied },
        })
    }

    /// Returns plain attention.
    pub(crate) fn attention(&self) -> Attention {
        Attention {
            n_heads: self.n_heads,
            n_kv_heads: self.n_kv_heads,
            head_dim: self.head_dim,
            scale: 1.0 / (self.head_dim as f32).sqrt(),
            is_fused: false,
            qkv_bias: false,
            output_bias: false,
            qk_norm: QkNorm::None,
            rotary: Some(self.rotary.clone()),
            window: None,
            soft_cap: None,
        }
    }

    /// Returns a layer with a norm before each half.
    pub(crate) fn block(&self, attention: Attention) -> Block {
        Block {
            attn_norm: Some(self.norm),
            mixer: Kind::new(attention),
            post_attn_norm: None,
            ffn_norm: Some(self.norm),
            feed_forward: Kind::new(self.feed_forward),
            post_ffn_norm: None,
        }
    }

    /// Returns a model of such layers.
    pub(crate) fn decoder(&self, block: impl FnMut(u32) -> Block) -> Decoder {
        Decoder {
            family: self.family.to_owned(),
            context_length: self.context_length,
            n_embd: self.n_embd,
            n_vocab: self.n_vocab,
            blocks: (0..self.n_blocks).map(block).collect(),
            output_norm: self.norm,
            head: self.head,
            scales: Scales::ONE,
            logit_soft_cap: None,
        }
    }

    /// Returns a model whose layers are all alike.
    pub(crate) fn uniform(&self, block: &Block) -> Decoder {
        self.decoder(|_| block.clone())
    }
}

/// Returns a whole number that is required, or has a default in the family.
pub(crate) fn need_count(config: &Config<'_>, defaults: &Defaults, key: &str) -> Result<u32, FamilyError> {
    match defaults.counts.iter().find(|(known, _)| *known == key) {
        Some((_, default)) => Ok(config.count(key)?.unwrap_or(*default)),
        None => config.need_count(key),
    }
}

/// Refuses a switch that is on.
pub(crate) fn refuse_flag(config: &Config<'_>, key: &str) -> Result<(), FamilyError> {
    if config.flag(key)? { Err(config.unsupported(key, "expected `false`")) } else { Ok(()) }
}

/// Returns a factor, or `default` if the key is absent.
pub(crate) fn factor(config: &Config<'_>, key: &str, default: f32) -> Result<f32, FamilyError> {
    Ok(config.positive(key)?.map_or(default, |number| number as f32))
}

fn heads(config: &Config<'_>, defaults: &Defaults) -> Result<(u32, u32), FamilyError> {
    let n_heads = need_count(config, defaults, "num_attention_heads")?;
    let default = defaults.counts.iter().find(|(key, _)| *key == "num_key_value_heads");
    let default = default.map_or(n_heads, |(_, default)| *default);
    let n_kv_heads = config.count("num_key_value_heads")?.unwrap_or(default);
    if !n_heads.is_multiple_of(n_kv_heads) {
        let expected = format!("a divisor of `num_attention_heads`, which is {n_heads}");
        return Err(config.bad("num_key_value_heads", &expected));
    }
    Ok((n_heads, n_kv_heads))
}

fn head_dim(config: &Config<'_>, defaults: &Defaults, n_embd: u32, n_heads: u32) -> Result<u32, FamilyError> {
    let head_dim = match config.count("head_dim")?.or(defaults.head_dim) {
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
    Ok(head_dim)
}

fn epsilon(config: &Config<'_>, defaults: &Defaults) -> Result<f32, FamilyError> {
    let (key, default) = defaults.epsilon;
    let epsilon = match default {
        Some(default) => config.positive(key)?.unwrap_or(default),
        None => config.need_positive(key)?,
    };
    Ok(epsilon as f32)
}

fn activation(config: &Config<'_>, defaults: &Defaults) -> Result<Activation, FamilyError> {
    let Some(key) = defaults.activation else { return Ok(Activation::Silu) };
    let is_gemma = key == "hidden_activation";
    match (config.text(key)?, is_gemma) {
        (None | Some("silu"), false) => Ok(Activation::Silu),
        (None | Some("gelu_pytorch_tanh"), true) => Ok(Activation::GeluTanh),
        (_, false) => Err(config.unsupported(key, "expected `\"silu\"`")),
        (_, true) => Err(config.unsupported(key, "expected `\"gelu_pytorch_tanh\"`")),
    }
}
