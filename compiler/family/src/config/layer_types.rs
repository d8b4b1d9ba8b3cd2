//! What a configuration says of each layer by itself.

use serde_json::Value;

use crate::config::Config;
use crate::error::FamilyError;

/// The list `layer_types`, one word for each of `n_blocks` layers; `None` where it is absent.
///
/// # Errors
/// When it is of another length, or holds a word that is not `known`.
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

/// Which layers have a window: all but every `interval`th, the only order that GGUF files of these families have.
///
/// # Errors
/// When the configuration says otherwise.
pub(crate) fn check_windows(config: &Config<'_>, n_blocks: u32, interval: u32) -> Result<(), FamilyError> {
    let types = layer_types(config, n_blocks, &["sliding_attention", "full_attention"])?;
    let is_other = |(block, word): (u32, &str)| (word == "sliding_attention") != has_window(block, interval);
    if types.is_some_and(|types| (0..).zip(types).any(is_other)) {
        let advice = format!("expected full attention only in the last of each {interval} layers");
        return Err(config.unsupported("layer_types", &advice));
    }
    for key in ["sliding_window_pattern", "_sliding_window_pattern"] {
        if config.count(key)?.is_some_and(|found| found != interval) {
            return Err(config.unsupported(key, &format!("expected {interval}")));
        }
    }
    Ok(())
}

/// Whether a layer has a window where every `interval`th has none.
pub(crate) fn has_window(block: u32, interval: u32) -> bool {
    !(block + 1).is_multiple_of(interval)
}
