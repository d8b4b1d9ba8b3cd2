//! Gemma 3, the language model: norms on all sides, and windows in five of six layers, with their own rotary
//! base.
//!
//! Of multimodal checkpoints, only the language model is read.
//!
//! Source: `modeling_gemma3.py` and `configuration_gemma3.py` of Transformers.

use std::borrow::Cow;

use mc_decoder::kinds::attention::{Attention, QkNorm};
use mc_decoder::program::Decoder;
use mc_decoder::rotary::Rotary;
use mc_graph::rotary::RotaryScaling;
use mc_tensor::model_tensor::ModelTensor;
use mc_tensor::stored::Stored;
use serde_json::Value;

use crate::config::layer_types::windows;
use crate::config::outline::{Defaults, Outline, factor, need_count, refuse_flag};
use crate::config::quantization;
use crate::config::rotary::RotaryDefaults;
use crate::config::{CONFIG, Config};
use crate::error::FamilyError;
use crate::families::gemma2::{embedding_scale, query_scale, sandwich};
use crate::family::{Family, norms_less_one};
use crate::names::{ATTENTION, FEED_FORWARD, Names, OUTSIDE, QK_NORMS, SANDWICH_NORMS};

/// Gemma 3.
pub struct Gemma3;

static NAMES: Names =
    Names { outside: OUTSIDE, layer: &[ATTENTION, QK_NORMS, SANDWICH_NORMS, FEED_FORWARD], expert: &[] };

/// Five layers with a window are followed by one without.
const INTERVAL: u32 = 6;

/// Prefixes of the vision tensors of a checkpoint.
const VISION: &[&str] =
    &["vision_tower.", "vision_model.", "multi_modal_projector.", "multimodal_projector."];

const DEFAULTS: Defaults = Defaults {
    family: "gemma3",
    is_tied: true,
    head_dim: Some(256),
    rotary: RotaryDefaults { base: 1e6, may_be_partial: false },
    epsilon: ("rms_norm_eps", Some(1e-6)),
    activation: Some("hidden_activation"),
    // Configurations of multimodal checkpoints omit values that equal these defaults.
    counts: &[
        ("vocab_size", 262_208),
        ("hidden_size", 2304),
        ("intermediate_size", 9216),
        ("num_hidden_layers", 26),
        ("num_attention_heads", 8),
        ("num_key_value_heads", 4),
        ("max_position_embeddings", 131_072),
        ("query_pre_attn_scalar", 256),
        ("sliding_window", 4096),
    ],
};

impl Family for Gemma3 {
    fn name(&self) -> &'static str {
        "gemma3"
    }

    fn architectures(&self) -> &'static [&'static str] {
        &["Gemma3ForCausalLM", "Gemma3ForConditionalGeneration"]
    }

    fn names(&self) -> &'static Names {
        &NAMES
    }

    fn decoder(&self, config: &Value) -> Result<Decoder, FamilyError> {
        let whole = Config::new(CONFIG, config)?;
        quantization::stored_scales(&whole)?;
        let config = whole.object("text_config")?.unwrap_or(whole);
        let outline = Outline::read(&config, &DEFAULTS)?;
        refuse_flag(&config, "attention_bias")?;
        refuse_flag(&config, "use_bidirectional_attention")?;
        if config.get("attn_logit_softcapping").is_some() {
            return Err(config.unsupported("attn_logit_softcapping", "expected no such key"));
        }
        let windows = windows(&config, outline.n_blocks, INTERVAL)?;
        let window = need_count(&config, &DEFAULTS, "sliding_window")?;
        let local =
            Rotary { base: local_base(&config)?, scaling: RotaryScaling::None, ..outline.rotary.clone() };
        let full = Attention {
            scale: query_scale(&config, &DEFAULTS)?,
            qk_norm: QkNorm::PerHead(outline.norm),
            ..outline.attention()
        };
        let decoder = outline.decoder(|block| {
            let mut attention = full.clone();
            if windows[block as usize] {
                attention.window = Some(window);
                attention.rotary = Some(local.clone());
            }
            sandwich(&outline, attention)
        });
        let soft_cap = config.get("final_logit_softcapping");
        let soft_cap = soft_cap.map(|_| factor(&config, "final_logit_softcapping", 1.0)).transpose()?;
        Ok(Decoder { scales: embedding_scale(outline.n_embd), logit_soft_cap: soft_cap, ..decoder })
    }

    fn stored(&self, tensor: ModelTensor) -> Stored {
        norms_less_one(tensor)
    }

    fn plain_name<'a>(&self, name: &'a str) -> Cow<'a, str> {
        if name.contains("language_model.") {
            return Cow::Owned(name.replacen("language_model.", "", 1));
        }
        Cow::Borrowed(name)
    }

    fn ignored(&self, name: &str) -> bool {
        let name = name.strip_prefix("model.").unwrap_or(name);
        VISION.iter().any(|part| name.starts_with(part)) || name.ends_with(".rotary_emb.inv_freq")
    }
}

/// Returns the rotary base of layers with a window.
fn local_base(config: &Config<'_>) -> Result<f32, FamilyError> {
    if let Some(parameters) = config.object("rope_parameters")?
        && let Some(local) = parameters.object("sliding_attention")?
    {
        return factor(&local, "rope_theta", 10_000.0);
    }
    factor(config, "rope_local_base_freq", 10_000.0)
}
