//! Reads JSON configuration: an error for a missing key, a wrong type or a wrong range names the expected
//! value.
//!
//! A key whose value is `null` counts as absent, because that is how Hugging Face writes a default.
//!
//! Every number has a range ([`count_range`], [`number_range`]): a configuration is untrusted input, and a
//! damaged or mistyped one would otherwise give a model that computes nonsense, or allocate memory that no
//! model needs. The ranges are far wider than any published model requires.

pub(crate) mod experts;
pub(crate) mod layer_types;
pub(crate) mod outline;
pub mod quantization;
pub(crate) mod rotary;

use std::ops::RangeInclusive;

use serde_json::{Map, Value};

use crate::error::FamilyError;

/// The name of a checkpoint's configuration.
pub const CONFIG: &str = "config.json";

/// Returns the range of the whole numbers that a key of a configuration may have.
pub fn count_range(key: &str) -> RangeInclusive<u32> {
    match key {
        "num_hidden_layers" => 1..=1000,
        "num_attention_heads" | "num_key_value_heads" | "head_dim" => 1..=1 << 16,
        "hidden_size" => 1..=1 << 20,
        "intermediate_size" | "moe_intermediate_size" | "block_ff_dim" | "vocab_size" => 1..=1 << 24,
        "max_position_embeddings" | "original_max_position_embeddings" | "sliding_window" => 1..=1 << 30,
        _ => 1..=u32::MAX,
    }
}

/// Returns the range of the numbers that a key of a configuration may have.
pub fn number_range(key: &str) -> RangeInclusive<f64> {
    match key {
        "rms_norm_eps" | "norm_eps" => 1e-12..=0.1,
        "rope_theta" | "rope_local_base_freq" => 2.0..=1e12,
        "factor" => 1.0..=1e6,
        _ => 1e-9..=1e9,
    }
}

/// A JSON object with the name of its file.
#[derive(Clone, Debug)]
pub struct Config<'a> {
    file: &'static str,
    parent: String,
    object: &'a Map<String, Value>,
}

impl<'a> Config<'a> {
    /// Wraps `value`, which was read from `file`.
    ///
    /// # Errors
    /// Fails if it is not an object.
    pub fn new(file: &'static str, value: &'a Value) -> Result<Self, FamilyError> {
        let object = value
            .as_object()
            .ok_or_else(|| FamilyError::NotJson { file, reason: format!("found {}", shown(value)) })?;
        Ok(Self { file, parent: String::new(), object })
    }

    /// Returns the value under `key`, unless it is absent or `null`.
    pub fn get(&self, key: &str) -> Option<&'a Value> {
        self.object.get(key).filter(|value| !value.is_null())
    }

    /// Returns the object under `key`, if there is one.
    ///
    /// # Errors
    /// Fails if it is not an object.
    pub fn object(&self, key: &str) -> Result<Option<Self>, FamilyError> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::Object(object)) => {
                Ok(Some(Self { file: self.file, parent: format!("{}{key}.", self.parent), object }))
            }
            Some(_) => Err(self.bad(key, "an object")),
        }
    }

    /// Returns the keys and values, including `null`s.
    pub fn entries(&self) -> impl Iterator<Item = (&'a String, &'a Value)> {
        self.object.iter()
    }

    /// Returns a whole number in the key's [`count_range`]; `None` if the key is absent.
    ///
    /// # Errors
    /// Fails if it is something else.
    pub fn count(&self, key: &str) -> Result<Option<u32>, FamilyError> {
        let range = count_range(key);
        let expected = match *range.end() {
            u32::MAX => "a whole number above 0".to_owned(),
            end => format!("a whole number from {} to {end}", range.start()),
        };
        self.typed(key, &expected, |value| {
            value
                .as_u64()
                .and_then(|number| u32::try_from(number).ok())
                .filter(|number| range.contains(number))
        })
    }

    /// Like [`Config::count`], but the key is required.
    ///
    /// # Errors
    /// Fails if it is absent or something else.
    pub fn need_count(&self, key: &str) -> Result<u32, FamilyError> {
        self.count(key)?.ok_or_else(|| self.missing(key, "a whole number above 0"))
    }

    /// Returns a number in the key's [`number_range`]; `None` if the key is absent.
    ///
    /// # Errors
    /// Fails if it is something else.
    pub fn positive(&self, key: &str) -> Result<Option<f64>, FamilyError> {
        let range = number_range(key);
        let expected = format!("a number from {} to {}", short(*range.start()), short(*range.end()));
        self.typed(key, &expected, |value| value.as_f64().filter(|number| range.contains(number)))
    }

    /// Like [`Config::positive`], but the key is required.
    ///
    /// # Errors
    /// Fails if it is absent or something else.
    pub fn need_positive(&self, key: &str) -> Result<f64, FamilyError> {
        self.positive(key)?.ok_or_else(|| self.missing(key, "a number above 0"))
    }

    /// Returns a switch; absent means `false`.
    ///
    /// # Errors
    /// Fails if it is something else.
    pub fn flag(&self, key: &str) -> Result<bool, FamilyError> {
        Ok(self.typed(key, "`true` or `false`", Value::as_bool)?.unwrap_or(false))
    }

    /// Returns a text; `None` if the key is absent.
    ///
    /// # Errors
    /// Fails if it is something else.
    pub fn text(&self, key: &str) -> Result<Option<&'a str>, FamilyError> {
        self.typed(key, "a text", Value::as_str)
    }

    /// Creates the error for a `key` that should have been `expected`.
    pub fn bad(&self, key: &str, expected: &str) -> FamilyError {
        FamilyError::BadValue {
            file: self.file,
            key: self.full(key),
            expected: expected.to_owned(),
            found: self.shown(key),
        }
    }

    /// Creates the error for a `key` that this release does not support.
    pub fn unsupported(&self, key: &str, advice: &str) -> FamilyError {
        FamilyError::Unsupported {
            file: self.file,
            key: self.full(key),
            found: self.shown(key),
            advice: advice.to_owned(),
        }
    }

    /// Creates the error for an absent `key`.
    pub fn missing(&self, key: &str, expected: &str) -> FamilyError {
        FamilyError::MissingKey { file: self.file, key: self.full(key), expected: expected.to_owned() }
    }

    fn typed<T>(
        &self,
        key: &str,
        expected: &str,
        read: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Result<Option<T>, FamilyError> {
        match self.get(key) {
            None => Ok(None),
            Some(value) => read(value).map(Some).ok_or_else(|| self.bad(key, expected)),
        }
    }

    fn full(&self, key: &str) -> String {
        format!("{}{key}", self.parent)
    }

    fn shown(&self, key: &str) -> String {
        self.object.get(key).map_or_else(|| "absent".to_owned(), shown)
    }
}

/// Parses the JSON text of `file`.
///
/// # Errors
/// Fails if it is not JSON.
pub fn parse(file: &'static str, text: &[u8]) -> Result<Value, FamilyError> {
    serde_json::from_slice(text).map_err(|error| FamilyError::NotJson { file, reason: error.to_string() })
}

fn short(number: f64) -> String {
    if (1e-3..1e6).contains(&number) { number.to_string() } else { format!("{number:e}") }
}

/// Formats a value as JSON, truncated if it is long.
pub(crate) fn shown(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(60) {
        None => format!("`{text}`"),
        Some((end, _)) => format!("`{}...`", &text[..end]),
    }
}
