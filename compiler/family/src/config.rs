//! Reading JSON configuration: a missing key, a wrong type or a wrong range is named with what was expected.
//!
//! A key whose value is `null` counts as absent, because that is how Hugging Face writes a default.

use serde_json::{Map, Value};

use crate::error::FamilyError;

/// The name of a checkpoint's configuration.
pub const CONFIG: &str = "config.json";

/// A JSON object together with where it came from.
#[derive(Clone, Debug)]
pub struct Config<'a> {
    file: &'static str,
    parent: String,
    object: &'a Map<String, Value>,
}

impl<'a> Config<'a> {
    /// Reads `value`, which came from `file`.
    ///
    /// # Errors
    /// When it is no object.
    pub fn new(file: &'static str, value: &'a Value) -> Result<Self, FamilyError> {
        let object = value
            .as_object()
            .ok_or_else(|| FamilyError::NotJson { file, reason: format!("found {}", shown(value)) })?;
        Ok(Self { file, parent: String::new(), object })
    }

    /// The value under `key`, unless it is absent or `null`.
    pub fn get(&self, key: &str) -> Option<&'a Value> {
        self.object.get(key).filter(|value| !value.is_null())
    }

    /// The object under `key`, if there is one.
    ///
    /// # Errors
    /// When it is no object.
    pub fn object(&self, key: &str) -> Result<Option<Self>, FamilyError> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::Object(object)) => {
                Ok(Some(Self { file: self.file, parent: format!("{}{key}.", self.parent), object }))
            }
            Some(_) => Err(self.bad(key, "an object")),
        }
    }

    /// The keys and values, `null`s included.
    pub fn entries(&self) -> impl Iterator<Item = (&'a String, &'a Value)> {
        self.object.iter()
    }

    /// A whole number from 1 to `u32::MAX`, if the key is there.
    ///
    /// # Errors
    /// When it is something else.
    pub fn count(&self, key: &str) -> Result<Option<u32>, FamilyError> {
        self.typed(key, "a whole number above 0", |value| {
            value.as_u64().and_then(|number| u32::try_from(number).ok()).filter(|number| *number > 0)
        })
    }

    /// Like [`Config::count`], but the key must be there.
    ///
    /// # Errors
    /// When it is absent or something else.
    pub fn need_count(&self, key: &str) -> Result<u32, FamilyError> {
        self.count(key)?.ok_or_else(|| self.missing(key, "a whole number above 0"))
    }

    /// A positive finite number, if the key is there.
    ///
    /// # Errors
    /// When it is something else.
    pub fn positive(&self, key: &str) -> Result<Option<f64>, FamilyError> {
        self.typed(key, "a number above 0", |value| {
            value.as_f64().filter(|number| number.is_finite() && *number > 0.0)
        })
    }

    /// Like [`Config::positive`], but the key must be there.
    ///
    /// # Errors
    /// When it is absent or something else.
    pub fn need_positive(&self, key: &str) -> Result<f64, FamilyError> {
        self.positive(key)?.ok_or_else(|| self.missing(key, "a number above 0"))
    }

    /// A switch; absent means `false`.
    ///
    /// # Errors
    /// When it is something else.
    pub fn flag(&self, key: &str) -> Result<bool, FamilyError> {
        Ok(self.typed(key, "`true` or `false`", Value::as_bool)?.unwrap_or(false))
    }

    /// A text, if the key is there.
    ///
    /// # Errors
    /// When it is something else.
    pub fn text(&self, key: &str) -> Result<Option<&'a str>, FamilyError> {
        self.typed(key, "a text", Value::as_str)
    }

    /// The error that `key` should have been `expected`.
    pub fn bad(&self, key: &str, expected: &str) -> FamilyError {
        FamilyError::BadValue {
            file: self.file,
            key: self.full(key),
            expected: expected.to_owned(),
            found: self.shown(key),
        }
    }

    /// The error that `key` asks for what this release does not do.
    pub fn unsupported(&self, key: &str, advice: &str) -> FamilyError {
        FamilyError::Unsupported {
            file: self.file,
            key: self.full(key),
            found: self.shown(key),
            advice: advice.to_owned(),
        }
    }

    /// The error that `key` is absent.
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
/// When it is no JSON.
pub fn parse(file: &'static str, text: &[u8]) -> Result<Value, FamilyError> {
    serde_json::from_slice(text).map_err(|error| FamilyError::NotJson { file, reason: error.to_string() })
}

// A value as JSON, cut where it would fill the screen.
fn shown(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(60) {
        None => format!("`{text}`"),
        Some((end, _)) => format!("`{}...`", &text[..end]),
    }
}
