//! Phi-3, Phi-3.5 and Phi-4-mini: fused projections, and rotary frequencies with divisors for long contexts.
//!
//! Source: `modeling_phi3.py` and `configuration_phi3.py` of Transformers.

use mc_decoder::kind::Kind;
use mc_decoder::kinds::attention::Attention;
use mc_decoder::kinds::gated_feed_forward::GatedFeedForward;
use mc_decoder::program::{Block, Decoder};
use mc_tensor::model_tensor::ModelTensor;
use serde_json::Value;

use crate::config::outline::{Defaults, Outline, refuse_flag};
use crate::config::rotary::RotaryDefaults;
use crate::config::{CONFIG, Config};
use crate::error::FamilyError;
use crate::families::llama;
use crate::family::Family;
use crate::names::{LayerName, Names, OUTSIDE, PRE_NORMS};

/// Phi-3 and related models.
pub struct Phi3;

const FUSED: &[LayerName] = &[
    ("self_attn.qkv_proj.weight", |block| ModelTensor::AttnQkv { block }),
    ("self_attn.o_proj.weight", |block| ModelTensor::AttnOutput { block }),
    ("mlp.gate_up_proj.weight", |block| ModelTensor::FfnUp { block }),
    ("mlp.down_proj.weight", |block| ModelTensor::FfnDown { block }),
];

static NAMES: Names = Names { outside: OUTSIDE, layer: &[FUSED, PRE_NORMS], expert: &[] };

const DEFAULTS: Defaults = Defaults {
    family: "phi3",
    is_tied: false,
    rotary: RotaryDefaults { base: 10_000.0, may_be_partial: true },
    ..llama::DEFAULTS
};

impl Family for Phi3 {
    fn name(&self) -> &'static str {
        "phi3"
    }

    fn architectures(&self) -> &'static [&'static str] {
        &["Phi3ForCausalLM"]
    }

    fn names(&self) -> &'static Names {
        &NAMES
    }

    fn decoder(&self, config: &Value) -> Result<Decoder, FamilyError> {
        let config = Config::new(CONFIG, config)?;
        let outline = Outline::read(&config, &DEFAULTS)?;
        for key in ["attention_bias", "mlp_bias"] {
            refuse_flag(&config, key)?;
        }
        if config.get("head_dim").is_some() {
            return Err(config.unsupported("head_dim", "expected no such key"));
        }
        let attention =
            Attention { is_fused: true, window: config.count("sliding_window")?, ..outline.attention() };
        let block = outline.block(attention);
        let feed_forward = Kind::new(GatedFeedForward { is_fused: true, ..outline.feed_forward });
        Ok(outline.uniform(&Block { feed_forward, ..block }))
    }
}
