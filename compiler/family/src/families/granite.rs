//! Granite 3: Llama's tensors with four factors.
//!
//! Source: `modeling_granite.py` and `configuration_granite.py` of Transformers.

use mc_decoder::kinds::attention::Attention;
use mc_decoder::program::{Decoder, Scales};
use serde_json::Value;

use crate::config::outline::{Defaults, Outline, factor, refuse_flag};
use crate::config::{CONFIG, Config};
use crate::error::FamilyError;
use crate::families::llama;
use crate::family::Family;
use crate::names::{ATTENTION, FEED_FORWARD, Names, OUTSIDE, PRE_NORMS};

/// Granite 3.
pub struct Granite;

static NAMES: Names = Names { outside: OUTSIDE, layer: &[ATTENTION, PRE_NORMS, FEED_FORWARD], expert: &[] };

const DEFAULTS: Defaults = Defaults { family: "granite", ..llama::DEFAULTS };

impl Family for Granite {
    fn name(&self) -> &'static str {
        "granite"
    }

    fn architectures(&self) -> &'static [&'static str] {
        &["GraniteForCausalLM"]
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
        let plain = outline.attention();
        if plain.head_dim.checked_mul(outline.n_heads) != Some(outline.n_embd) {
            let advice = format!("expected {}", outline.n_embd / outline.n_heads);
            return Err(config.unsupported("head_dim", &advice));
        }
        let attention = Attention { scale: factor(&config, "attention_multiplier", 1.0)?, ..plain };
        let scales = Scales {
            embedding: factor(&config, "embedding_multiplier", 1.0)?,
            residual: factor(&config, "residual_multiplier", 1.0)?,
            logit_divisor: factor(&config, "logits_scaling", 1.0)?,
        };
        Ok(Decoder { scales, ..outline.uniform(&outline.block(attention)) })
    }
}
