//! Reads typed keys of a file; errors name the key.
//!
//! Every number of a model has a range, because a damaged file could otherwise yield a model that computes nonsense.
//! The ranges are the same as for the family's configurations.

use std::borrow::Cow;
use std::ops::RangeInclusive;

use crate::model_error::ModelError;
use crate::reader::Gguf;
use crate::value::Value;

/// The error for a key with a wrong value.
pub(crate) fn wrong(
    key: impl Into<String>,
    expected: impl Into<Cow<'static, str>>,
    found: String,
) -> ModelError {
    ModelError::Key { key: key.into(), expected: expected.into(), found }
}

/// The value of a key.
pub(crate) fn get<'a>(gguf: &'a Gguf, key: &str, expected: &'static str) -> Result<&'a Value, ModelError> {
    gguf.key(key).ok_or_else(|| wrong(key, expected, "missing".to_owned()))
}

/// The text under a key.
pub(crate) fn text<'a>(gguf: &'a Gguf, key: &str) -> Result<&'a str, ModelError> {
    let value = get(gguf, key, "a text")?;
    value.as_text().ok_or_else(|| wrong(key, "a text", shown(value)))
}

/// The whole number under a key.
pub(crate) fn number(gguf: &Gguf, key: &str) -> Result<u32, ModelError> {
    const EXPECTED: &str = "a whole number";
    let value = get(gguf, key, EXPECTED)?;
    value
        .as_u64()
        .and_then(|number| u32::try_from(number).ok())
        .ok_or_else(|| wrong(key, EXPECTED, shown(value)))
}

/// The whole number of a model under a key, within its range.
///
/// * `name`: the key without the architecture prefix
pub(crate) fn count(gguf: &Gguf, key: &str, name: &str) -> Result<u32, ModelError> {
    let (number, range) = (number(gguf, key)?, count_range(name));
    if range.contains(&number) {
        return Ok(number);
    }
    let expected = format!("a whole number from {} to {}", range.start(), range.end());
    Err(wrong(key, expected, number.to_string()))
}

/// The number of a model under a key, within its range.
///
/// * `name`: the key without the architecture prefix
pub(crate) fn float(gguf: &Gguf, key: &str, name: &str) -> Result<f32, ModelError> {
    let range = float_range(name);
    let expected = || format!("a number from {:e} to {:e}", range.start(), range.end());
    let value = gguf.key(key).ok_or_else(|| wrong(key, expected(), "missing".to_owned()))?;
    value.as_f32().filter(|number| range.contains(number)).ok_or_else(|| wrong(key, expected(), shown(value)))
}

fn count_range(name: &str) -> RangeInclusive<u32> {
    match name {
        "attention.head_count" | "attention.key_length" | "rope.dimension_count" => 1..=1 << 16,
        "attention.head_count_kv" => 0..=1 << 16,
        "embedding_length" => 1..=1 << 20,
        "feed_forward_length" | "expert_feed_forward_length" => 1..=1 << 24,
        "context_length" | "rope.scaling.original_context_length" => 1..=1 << 30,
        // Zero means no window.
        "attention.sliding_window" => 0..=1 << 30,
        _ => 0..=u32::MAX,
    }
}

fn float_range(name: &str) -> RangeInclusive<f32> {
    match name {
        "attention.layer_norm_rms_epsilon" => 1e-12..=0.1,
        "rope.freq_base" | "rope.freq_base_swa" => 2.0..=1e12,
        "rope.scaling.factor" => 1.0..=1e6,
        _ => -1e9..=1e9,
    }
}

/// The list of texts under a key.
pub(crate) fn texts(gguf: &Gguf, key: &str) -> Result<Vec<String>, ModelError> {
    const EXPECTED: &str = "a list of texts";
    let value = get(gguf, key, EXPECTED)?;
    let array = value.as_array().ok_or_else(|| wrong(key, EXPECTED, shown(value)))?;
    let texts = array.texts().map(|texts| texts.map(str::to_owned).collect());
    texts.ok_or_else(|| wrong(key, EXPECTED, "a list of another type".to_owned()))
}

/// A value, formatted for messages.
pub(crate) fn shown(value: &Value) -> String {
    match value {
        Value::Array(array) => format!("a list of {} values", array.len()),
        Value::Text(text) => format!("the text `{}`", text.chars().take(40).collect::<String>()),
        other => format!("{other:?}"),
    }
}
