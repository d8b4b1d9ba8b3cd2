//! Gemma 2: norms before and after each half of a layer, soft caps, and windows in every other layer.
//!
//! Source: `modeling_gemma2.py` and `configuration_gemma2.py` of Transformers.

use mc_decoder::kinds::attention::Attention;
use mc_decoder::program::{Block, Decoder, Scales};
use mc_tensor::model_tensor::ModelTensor;
use mc_tensor::stored::Stored;
use serde_json::Value;

use crate::config::layer_types::{PATTERNS, windows};
use crate::config::outline::{Defaults, Outline, factor, need_count, refuse_flag};
use crate::config::rotary::RotaryDefaults;
use crate::config::{CONFIG, Config};
use crate::error::FamilyError;
use crate::families::llama;
use crate::family::{Family, norms_less_one};
use crate::names::{ATTENTION, FEED_FORWARD, Names, OUTSIDE, SANDWICH_NORMS};

/// Gemma 2.
pub struct Gemma2;

static NAMES: Names =
    Names { outside: OUTSIDE, layer: &[ATTENTION, SANDWICH_NORMS, FEED_FORWARD], expert: &[] };

/// Layers with a window are followed by one without.
const INTERVAL: u32 = 2;

const DEFAULTS: Defaults = Defaults {
    family: "gemma2",
    is_tied: true,
    head_dim: Some(256),
    rotary: RotaryDefaults { base: 10_000.0, may_be_partial: false },
    activation: Some("hidden_activation"),
    counts: &[("sliding_window", 4096), ("query_pre_attn_scalar", 256)],
    ..llama::DEFAULTS
};

impl Family for Gemma2 {
    fn name(&self) -> &'static str {
        "gemma2"
    }

    fn architectures(&self) -> &'static [&'static str] {
        &["Gemma2ForCausalLM"]
    }

    fn names(&self) -> &'static Names {
        &NAMES
    }

    fn decoder(&self, config: &Value) -> Result<Decoder, FamilyError> {
        let config = Config::new(CONFIG, config)?;
        let outline = Outline::read(&config, &DEFAULTS)?;
        refuse_flag(&config, "attention_bias")?;
        for key in PATTERNS {
            // Transformers does not read a pattern here.
            if config.count(key)?.is_some_and(|found| found != INTERVAL) {
                return Err(config.unsupported(key, &format!("expected {INTERVAL}")));
            }
        }
        let windows = windows(&config, outline.n_blocks, INTERVAL)?;
        let window = need_count(&config, &DEFAULTS, "sliding_window")?;
        let soft_cap = factor(&config, "attn_logit_softcapping", 50.0)?;
        let attention = Attention {
            scale: query_scale(&config, &DEFAULTS)?,
            soft_cap: Some(soft_cap),
            ..outline.attention()
        };
        let decoder = outline.decoder(|block| {
            let window = windows[block as usize].then_some(window);
            sandwich(&outline, Attention { window, ..attention.clone() })
        });
        Ok(Decoder {
            scales: embedding_scale(outline.n_embd),
            logit_soft_cap: Some(factor(&config, "final_logit_softcapping", 30.0)?),
            ..decoder
        })
    }

    fn stored(&self, tensor: ModelTensor) -> Stored {
        norms_less_one(tensor)
    }
}

/// Returns a layer with a norm before and after each half.
pub(crate) fn sandwich(outline: &Outline, attention: Attention) -> Block {
    let norm = Some(outline.norm);
    Block { post_attn_norm: norm, post_ffn_norm: norm, ..outline.block(attention) }
}

/// Returns the factor on the scores: `1 / sqrt(query_pre_attn_scalar)`.
pub(crate) fn query_scale(config: &Config<'_>, defaults: &Defaults) -> Result<f32, FamilyError> {
    Ok(1.0 / (need_count(config, defaults, "query_pre_attn_scalar")? as f32).sqrt())
}

/// Returns Gemma's factor on the embedding: `sqrt(n_embd)`.
pub(crate) fn embedding_scale(n_embd: u32) -> Scales {
    Scales { embedding: (n_embd as f32).sqrt(), ..Scales::ONE }
}
