//! Mistral: Llama's tensors, with a window in its first release.
//!
//! Source: `modeling_mistral.py` and `configuration_mistral.py` of Transformers.

use mc_decoder::kinds::attention::Attention;
use mc_decoder::program::Decoder;
use serde_json::Value;

use crate::config::outline::{Defaults, Outline};
use crate::config::{CONFIG, Config};
use crate::error::FamilyError;
use crate::families::llama;
use crate::family::Family;
use crate::names::{ATTENTION, FEED_FORWARD, Names, OUTSIDE, PRE_NORMS};

/// Mistral.
pub struct Mistral;

static NAMES: Names = Names { outside: OUTSIDE, layer: &[ATTENTION, PRE_NORMS, FEED_FORWARD], expert: &[] };

const DEFAULTS: Defaults = Defaults { family: "mistral", ..llama::DEFAULTS };

impl Family for Mistral {
    fn name(&self) -> &'static str {
        "mistral"
    }

    fn architectures(&self) -> &'static [&'static str] {
        &["MistralForCausalLM"]
    }

    fn names(&self) -> &'static Names {
        &NAMES
    }

    fn decoder(&self, config: &Value) -> Result<Decoder, FamilyError> {
        let config = Config::new(CONFIG, config)?;
        let outline = Outline::read(&config, &DEFAULTS)?;
        let attention = Attention { window: config.count("sliding_window")?, ..outline.attention() };
        Ok(outline.uniform(&outline.block(attention)))
    }
}
