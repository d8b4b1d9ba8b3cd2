//! Qwen2 and Qwen2.5: Llama's tensors with biases on queries, keys and values.
//!
//! Source: `modeling_qwen2.py` and `configuration_qwen2.py` of Transformers.

use mc_decoder::kinds::attention::Attention;
use mc_decoder::program::Decoder;
use serde_json::Value;

use crate::config::outline::{Defaults, Outline, refuse_flag};
use crate::config::rotary::{RotaryDefaults, Scaling};
use crate::config::{CONFIG, Config};
use crate::error::FamilyError;
use crate::families::llama;
use crate::family::Family;
use crate::names::{ATTENTION, FEED_FORWARD, Names, OUTSIDE, PRE_NORMS};

/// Qwen2 and Qwen2.5.
pub struct Qwen2;

static NAMES: Names = Names { outside: OUTSIDE, layer: &[ATTENTION, PRE_NORMS, FEED_FORWARD], expert: &[] };

/// What Qwen2 and its kin take for granted.
pub(crate) const DEFAULTS: Defaults = Defaults {
    architecture: "qwen2",
    rotary: RotaryDefaults {
        base: 10_000.0,
        scalings: &[Scaling::Linear, Scaling::Yarn],
        may_be_partial: false,
    },
    ..llama::DEFAULTS
};

impl Family for Qwen2 {
    fn name(&self) -> &'static str {
        "qwen2"
    }

    fn architectures(&self) -> &'static [&'static str] {
        &["Qwen2ForCausalLM"]
    }

    fn names(&self) -> &'static Names {
        &NAMES
    }

    fn decoder(&self, config: &Value) -> Result<Decoder, FamilyError> {
        let config = Config::new(CONFIG, config)?;
        let outline = Outline::read(&config, &DEFAULTS)?;
        refuse_windows(&config)?;
        let attention = Attention { qkv_bias: true, ..outline.attention() };
        Ok(outline.uniform(&outline.block(attention)))
    }
}

/// Refuses the windows of upper layers, for which GGUF has no words in these families.
pub(crate) fn refuse_windows(config: &Config<'_>) -> Result<(), FamilyError> {
    refuse_flag(config, "use_sliding_window")
}
