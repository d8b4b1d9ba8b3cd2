//! Keys of a file read as what they should be, or an error that names the key.

use crate::gguf::model::ModelError;
use crate::gguf::reader::Gguf;
use crate::gguf::value::Value;

/// The error of a key that is not what it should be.
pub(crate) fn wrong(key: impl Into<String>, expected: &'static str, found: String) -> ModelError {
    ModelError::Key { key: key.into(), expected, found }
}

/// The value of a key.
pub(crate) fn get<'a>(gguf: &'a Gguf, key: &str, expected: &'static str) -> Result<&'a Value, ModelError> {
    gguf.key(key).ok_or_else(|| wrong(key, expected, "it is not there".to_owned()))
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

/// The finite number under a key.
pub(crate) fn float(gguf: &Gguf, key: &str) -> Result<f32, ModelError> {
    let value = get(gguf, key, "a number")?;
    value.as_f32().filter(|number| number.is_finite()).ok_or_else(|| wrong(key, "a number", shown(value)))
}

/// The list of texts under a key.
pub(crate) fn texts(gguf: &Gguf, key: &str) -> Result<Vec<String>, ModelError> {
    const EXPECTED: &str = "a list of texts";
    let value = get(gguf, key, EXPECTED)?;
    let array = value.as_array().ok_or_else(|| wrong(key, EXPECTED, shown(value)))?;
    let texts = array.texts().map(|texts| texts.map(str::to_owned).collect());
    texts.ok_or_else(|| wrong(key, EXPECTED, "a list of something else".to_owned()))
}

/// A value as a message shows it.
pub(crate) fn shown(value: &Value) -> String {
    match value {
        Value::Array(array) => format!("a list of {} values", array.len()),
        Value::Text(text) => format!("the text `{}`", text.chars().take(40).collect::<String>()),
        other => format!("{other:?}"),
    }
}
