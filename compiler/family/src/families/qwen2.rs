//! Qwen2 and Qwen2.5: Llama's tensors with biases on queries, keys and values.
//!
//! Source: `modeling_qwen2.py` and `configuration_qwen2.py` of Transformers.

use mc_decoder::kinds::attention::Attention;
use mc_decoder::program::Decoder;
use serde_json::Value;

use crate::config::layer_types::layer_types;
use crate::config::outline::{Defaults, Outline};
use crate::config::rotary::RotaryDefaults;
use crate::config::{CONFIG, Config};
use crate::error::FamilyError;
use crate::families::llama;
use crate::family::Family;
use crate::names::{ATTENTION, FEED_FORWARD, Names, OUTSIDE, PRE_NORMS};

/// Qwen2 and Qwen2.5.
pub struct Qwen2;

static NAMES: Names = Names { outside: OUTSIDE, layer: &[ATTENTION, PRE_NORMS, FEED_FORWARD], expert: &[] };

/// Defaults of Qwen2 and related families.
pub(crate) const DEFAULTS: Defaults = Defaults {
    family: "qwen2",
    rotary: RotaryDefaults { base: 10_000.0, may_be_partial: false },
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
        let windows = upper_windows(&config, outline.n_blocks)?;
        let attention = Attention { qkv_bias: true, ..outline.attention() };
        Ok(outline.decoder(|block| {
            outline.block(Attention { window: windows[block as usize], ..attention.clone() })
        }))
    }
}

/// Returns the window of each layer: layers from `max_window_layers` on have one, if windows are switched on.
pub(crate) fn upper_windows(config: &Config<'_>, n_blocks: u32) -> Result<Vec<Option<u32>>, FamilyError> {
    const FIRST: &str = "max_window_layers";
    let window = switched_window(config)?;
    let first = match config.get(FIRST) {
        None => 28,
        Some(value) => value.as_u64().ok_or_else(|| config.bad(FIRST, "a whole number"))?,
    };
    let windows = (0..u64::from(n_blocks)).map(|block| window.filter(|_| block >= first)).collect();
    layer_windows(config, window, windows)
}

/// Returns the window of a configuration that has a switch for it.
pub(crate) fn switched_window(config: &Config<'_>) -> Result<Option<u32>, FamilyError> {
    let is_windowed = config.flag("use_sliding_window")?;
    let window = config.count("sliding_window")?.unwrap_or(4096);
    Ok(Some(window).filter(|_| is_windowed))
}

/// Returns the window of each layer: by `layer_types` if there is a window and the list, else as given.
pub(crate) fn layer_windows(
    config: &Config<'_>,
    window: Option<u32>,
    windows: Vec<Option<u32>>,
) -> Result<Vec<Option<u32>>, FamilyError> {
    let known = ["sliding_attention", "full_attention"];
    if window.is_none() {
        return Ok(windows);
    }
    let types = layer_types(config, windows.len() as u32, &known)?;
    let windows_of =
        |types: Vec<&str>| types.into_iter().map(|word| window.filter(|_| word == known[0])).collect();
    Ok(types.map_or(windows, windows_of))
}
