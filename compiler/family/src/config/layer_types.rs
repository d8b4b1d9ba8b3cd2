//! Settings of a configuration for single layers.

use serde_json::Value;

use crate::config::Config;
use crate::error::FamilyError;

/// Reads the list `layer_types`, one word for each of `n_blocks` layers; `None` if it is absent.
///
/// # Errors
/// Fails if it has another length, or contains a word that is not `known`.
pub(crate) fn layer_types<'a>(
    config: &Config<'a>,
    n_blocks: u32,
    known: &[&str],
) -> Result<Option<Vec<&'a str>>, FamilyError> {
    const KEY: &str = "layer_types";
    let Some(value) = config.get(KEY) else { return Ok(None) };
    let word = |value: &'a Value| value.as_str().filter(|word| known.contains(word));
    let words: Option<Vec<&str>> = value.as_array().and_then(|words| words.iter().map(word).collect());
    let words = words.filter(|words| words.len() == n_blocks as usize);
    let expected = || format!("one of `{}` for each of {n_blocks} layers", known.join("`, `"));
    words.map(Some).ok_or_else(|| config.bad(KEY, &expected()))
}

/// Returns the layers that have a window: those in `layer_types`, else all but the last of each group; the
/// group's size is the configuration's pattern, or `interval`.
///
/// # Errors
/// Fails if one of the keys is wrong.
pub(crate) fn windows(config: &Config<'_>, n_blocks: u32, interval: u32) -> Result<Vec<bool>, FamilyError> {
    if let Some(types) = layer_types(config, n_blocks, &["sliding_attention", "full_attention"])? {
        return Ok(types.into_iter().map(|word| word == "sliding_attention").collect());
    }
    let mut interval = interval;
    for key in PATTERNS {
        interval = config.count(key)?.unwrap_or(interval);
    }
    Ok((1..=n_blocks).map(|number| !number.is_multiple_of(interval)).collect())
}

/// The keys of a pattern of windows.
pub(crate) const PATTERNS: [&str; 2] = ["sliding_window_pattern", "_sliding_window_pattern"];
