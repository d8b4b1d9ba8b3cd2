//! `SmolLM3`: Llama's tensors; every fourth layer has no positions, unless the configuration sets other
//! layers.
//!
//! Source: `modeling_smollm3.py` and `configuration_smollm3.py` of Transformers.

use mc_decoder::kinds::attention::Attention;
use mc_decoder::program::Decoder;
use serde_json::Value;

use crate::config::outline::{Defaults, Outline, refuse_flag};
use crate::config::rotary::RotaryDefaults;
use crate::config::{CONFIG, Config};
use crate::error::FamilyError;
use crate::families::llama;
use crate::families::qwen2::layer_windows;
use crate::family::Family;
use crate::names::{ATTENTION, FEED_FORWARD, Names, OUTSIDE, PRE_NORMS};

/// `SmolLM3`.
pub struct SmolLm3;

static NAMES: Names = Names { outside: OUTSIDE, layer: &[ATTENTION, PRE_NORMS, FEED_FORWARD], expert: &[] };

/// Size of the groups of layers whose last layer has no positions.
const INTERVAL: u32 = 4;

const DEFAULTS: Defaults = Defaults {
    family: "smollm3",
    is_tied: true,
    rotary: RotaryDefaults { base: 2e6, ..llama::DEFAULTS.rotary },
    counts: &[("num_key_value_heads", 4)],
    ..llama::DEFAULTS
};

impl Family for SmolLm3 {
    fn name(&self) -> &'static str {
        "smollm3"
    }

    fn architectures(&self) -> &'static [&'static str] {
        &["SmolLM3ForCausalLM"]
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
        let has_positions = positions(&config, outline.n_blocks)?;
        let is_windowed = config.flag("use_sliding_window")?;
        let window = config.count("sliding_window")?.filter(|_| is_windowed);
        // If there is a window, exactly the layers without positions have it.
        let windows = has_positions.iter().map(|has| window.filter(|_| !has)).collect();
        let windows = layer_windows(&config, window, windows)?;
        Ok(outline.decoder(|block| {
            let (attention, block) = (outline.attention(), block as usize);
            let rotary = attention.rotary.clone().filter(|_| has_positions[block]);
            outline.block(Attention { rotary, window: windows[block], ..attention })
        }))
    }
}

/// Returns the layers that have positions.
fn positions(config: &Config<'_>, n_blocks: u32) -> Result<Vec<bool>, FamilyError> {
    let Some(value) = config.get("no_rope_layers") else {
        let interval = config.count("no_rope_layer_interval")?.unwrap_or(INTERVAL);
        return Ok((1..=n_blocks).map(|number| !number.is_multiple_of(interval)).collect());
    };
    // A 1 marks a layer with positions.
    let switch = |value: &Value| value.as_u64().filter(|switch| *switch < 2).map(|switch| switch == 1);
    let layers: Option<Vec<bool>> = value.as_array().and_then(|layers| layers.iter().map(switch).collect());
    let layers = layers.filter(|layers| layers.len() == n_blocks as usize);
    let expected = format!("a list of 0 or 1 for each of {n_blocks} layers");
    layers.ok_or_else(|| config.bad("no_rope_layers", &expected))
}
