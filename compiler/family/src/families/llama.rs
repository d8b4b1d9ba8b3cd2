//! The Llama family: Llama 1 to 3.3, `SmolLM2` and models of the same shape.
//!
//! Source: `modeling_llama.py` and `configuration_llama.py` of Transformers.

use mc_decoder::kinds::attention::Attention;
use mc_decoder::program::Decoder;
use serde_json::Value;

use crate::config::outline::{Defaults, Outline, refuse_flag};
use crate::config::rotary::RotaryDefaults;
use crate::config::{CONFIG, Config};
use crate::error::FamilyError;
use crate::family::Family;
use crate::names::{ATTENTION, FEED_FORWARD, Names, OUTSIDE, PRE_NORMS};

/// The Llama family.
pub struct Llama;

static NAMES: Names = Names { outside: OUTSIDE, layer: &[ATTENTION, PRE_NORMS, FEED_FORWARD], expert: &[] };

/// Defaults of Llama and related families.
pub(crate) const DEFAULTS: Defaults = Defaults {
    family: "llama",
    is_tied: false,
    head_dim: None,
    rotary: RotaryDefaults { base: 10_000.0, may_be_partial: false },
    epsilon: ("rms_norm_eps", None),
    activation: Some("hidden_act"),
    counts: &[],
};

impl Family for Llama {
    fn name(&self) -> &'static str {
        "llama"
    }

    fn architectures(&self) -> &'static [&'static str] {
        &["LlamaForCausalLM", "LLaMAForCausalLM"]
    }

    fn names(&self) -> &'static Names {
        &NAMES
    }

    fn decoder(&self, config: &Value) -> Result<Decoder, FamilyError> {
        let config = Config::new(CONFIG, config)?;
        let outline = Outline::read(&config, &DEFAULTS)?;
        refuse_flag(&config, "mlp_bias")?;
        let bias = config.flag("attention_bias")?;
        let attention = Attention { qkv_bias: bias, output_bias: bias, ..outline.attention() };
        Ok(outline.uniform(&outline.block(attention)))
    }
}
