//! Collects the typed keys of a file.

use crate::value::Value;

/// Keys in file order.
pub type Keys = Vec<(String, Value)>;

/// Collects keys in file order.
#[derive(Default)]
pub(crate) struct KeyWriter(pub(crate) Keys);

impl KeyWriter {
    /// Adds a key.
    pub(crate) fn put(&mut self, name: impl Into<String>, value: Value) {
        self.0.push((name.into(), value));
    }

    /// Adds a text.
    pub(crate) fn text(&mut self, name: impl Into<String>, text: &str) {
        self.put(name, Value::Text(text.to_owned()));
    }

    /// Adds a text if there is one.
    pub(crate) fn optional_text(&mut self, name: &str, text: Option<&str>) {
        if let Some(text) = text {
            self.text(name, text);
        }
    }

    /// Adds a whole number.
    pub(crate) fn u32(&mut self, name: impl Into<String>, number: u32) {
        self.put(name, Value::U32(number));
    }

    /// Adds a number.
    pub(crate) fn f32(&mut self, name: impl Into<String>, number: f32) {
        self.put(name, Value::F32(number));
    }
}
