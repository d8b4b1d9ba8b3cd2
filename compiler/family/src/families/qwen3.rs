//! Qwen3: queries and keys are normed head by head.
//!
//! Source: `modeling_qwen3.py` and `configuration_qwen3.py` of Transformers.

use mc_decoder::kinds::attention::{Attention, QkNorm};
use mc_decoder::program::Decoder;
use serde_json::Value;

use crate::config::outline::{Defaults, Outline, refuse_flag};
use crate::config::{CONFIG, Config};
use crate::error::FamilyError;
use crate::families::qwen2::{self, upper_windows};
use crate::family::Family;
use crate::names::{ATTENTION, FEED_FORWARD, Names, OUTSIDE, PRE_NORMS, QK_NORMS};

/// Qwen3.
pub struct Qwen3;

static NAMES: Names =
    Names { outside: OUTSIDE, layer: &[ATTENTION, QK_NORMS, PRE_NORMS, FEED_FORWARD], expert: &[] };

const DEFAULTS: Defaults = Defaults { family: "qwen3", head_dim: Some(128), ..qwen2::DEFAULTS };

impl Family for Qwen3 {
    fn name(&self) -> &'static str {
        "qwen3"
    }

    fn architectures(&self) -> &'static [&'static str] {
        &["Qwen3ForCausalLM"]
    }

    fn names(&self) -> &'static Names {
        &NAMES
    }

    fn decoder(&self, config: &Value) -> Result<Decoder, FamilyError> {
        let config = Config::new(CONFIG, config)?;
        let outline = Outline::read(&config, &DEFAULTS)?;
        let windows = upper_windows(&config, outline.n_blocks)?;
        let attention = attention(&config, &outline)?;
        Ok(outline.decoder(|block| {
            outline.block(Attention { window: windows[block as usize], ..attention.clone() })
        }))
    }
}

/// Returns the attention of Qwen3, with and without experts.
pub(crate) fn attention(config: &Config<'_>, outline: &Outline) -> Result<Attention, FamilyError> {
    refuse_flag(config, "attention_bias")?;
    Ok(Attention { qk_norm: QkNorm::PerHead(outline.norm), ..outline.attention() })
}
