//! Location of the scales in checkpoints whose weights are 8-bit floats.
//!
//! Source: `quantization_config` of Transformers (`fp8`) and of compressed-tensors.

use serde_json::Value;

use crate::config::Config;
use crate::error::FamilyError;

/// Tensors that scale activations or the key-value cache; they have no use once weights are floats again.
const UNUSED: &[&str] =
    &[".input_scale", ".activation_scale", "_activation_scale", ".k_scale", ".v_scale", ".output_scale"];

/// The scales of a checkpoint's weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoredScales {
    /// Suffix of the scales' name, after the weight's name.
    pub suffix: &'static str,
    /// Rows and columns that share a scale; absent if each row or the whole weight shares one.
    pub block: Option<[u64; 2]>,
}

impl StoredScales {
    /// Returns true if a stored tensor scales something that is not stored.
    pub fn ignores(&self, name: &str) -> bool {
        UNUSED.iter().any(|suffix| name.ends_with(suffix))
    }
}

/// Returns the scales that a configuration declares; `None` if weights are plain.
///
/// # Errors
/// Fails if the configuration declares a quantization that cannot be undone here.
pub fn stored_scales(config: &Config<'_>) -> Result<Option<StoredScales>, FamilyError> {
    const KEY: &str = "quantization_config";
    let Some(quantization) = config.object(KEY)? else { return Ok(None) };
    match quantization.text("quant_method")? {
        Some("fp8") => {
            Ok(Some(StoredScales { suffix: "_scale_inv", block: block(&quantization, "weight_block_size")? }))
        }
        Some("compressed-tensors") => compressed(&quantization).map(Some),
        _ => Err(config.unsupported(KEY, PLAIN)),
    }
}

const PLAIN: &str = "start from the checkpoint with 16-bit or 32-bit weights, or 8-bit floats with scales (`fp8`, \
                     `compressed-tensors`)";

fn compressed(quantization: &Config<'_>) -> Result<StoredScales, FamilyError> {
    if !matches!(quantization.text("format")?, Some("float-quantized" | "naive-quantized")) {
        return Err(quantization.unsupported("format", PLAIN));
    }
    let expected = "an object with one group";
    let groups = quantization.object("config_groups")?;
    let groups = groups.ok_or_else(|| quantization.missing("config_groups", expected))?;
    let mut names = groups.entries().map(|(name, _)| name);
    let (Some(name), None) = (names.next(), names.next()) else {
        return Err(quantization.unsupported("config_groups", "expected one group"));
    };
    let group = groups.object(name)?.ok_or_else(|| groups.missing(name, "an object"))?;
    let weights = group.object("weights")?.ok_or_else(|| group.missing("weights", "an object"))?;
    if weights.text("type")? != Some("float") {
        return Err(weights.unsupported("type", PLAIN));
    }
    if weights.count("num_bits")? != Some(8) {
        return Err(weights.unsupported("num_bits", PLAIN));
    }
    match weights.text("strategy")? {
        Some("tensor" | "channel") => Ok(StoredScales { suffix: "_scale", block: None }),
        Some("block") => {
            let block = block(&weights, "block_structure")?;
            let block = block.ok_or_else(|| weights.missing("block_structure", BLOCK))?;
            Ok(StoredScales { suffix: "_scale", block: Some(block) })
        }
        _ => Err(weights.unsupported("strategy", "expected `\"tensor\"`, `\"channel\"` or `\"block\"`")),
    }
}

const BLOCK: &str = "a list of two whole numbers above 0, such as `[128, 128]`";

fn block(config: &Config<'_>, key: &str) -> Result<Option<[u64; 2]>, FamilyError> {
    let Some(value) = config.get(key) else { return Ok(None) };
    let number = |value: &Value| value.as_u64().filter(|number| (1..=1 << 20).contains(number));
    let sizes: Option<Vec<u64>> = value.as_array().and_then(|sizes| sizes.iter().map(number).collect());
    match sizes.as_deref() {
        Some([rows, cols]) => Ok(Some([*rows, *cols])),
        _ => Err(config.bad(key, BLOCK)),
    }
}
