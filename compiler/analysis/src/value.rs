//! Parses one value as its schema prescribes.

use mc_ir::attribute::{Number, Value};
use mc_ir::label::{Label, PackageId};
use mc_ir::schema::{MAX_WORDS, ValueKind};
use mc_ir::tags::Tags;

use crate::path::normalize;
use crate::quantity::{bytes, percent, share_of_one};
use crate::suggest::did_you_mean;

/// A value as written, before its kind is checked.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Written<'a> {
    Text(&'a str),
    /// An integer; `None` if it is beyond the range of schemas.
    Integer(Option<i64>),
    Number(f64),
    Bool(bool),
    Null,
}

/// The reason for which a value is not of its kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mismatch {
    /// The found value and the reason.
    pub(crate) found: String,
    /// The correct form.
    pub(crate) help: Option<String>,
}

impl Written<'_> {
    fn describe(self) -> String {
        match self {
            Self::Text("") => "found an empty string".to_owned(),
            Self::Text(text) => format!("found the string `{text}`"),
            Self::Integer(Some(integer)) => format!("found the number `{integer}`"),
            Self::Integer(None) => "found a number beyond 64 bits".to_owned(),
            Self::Number(number) => format!("found the number `{number}`"),
            Self::Bool(truth) => format!("found `#{truth}`"),
            Self::Null => "found `#null`".to_owned(),
        }
    }
}

/// Parses a value in the package `here`.
///
/// # Errors
/// [`Mismatch`] if it is not of the kind.
pub(crate) fn read(kind: ValueKind, written: Written<'_>, here: &PackageId) -> Result<Value, Mismatch> {
    let other = |help: Option<String>| Mismatch { found: written.describe(), help };
    match (kind, written) {
        (ValueKind::Integer, Written::Integer(Some(integer))) if integer >= 0 => Ok(Value::Integer(integer)),
        (ValueKind::Integer, Written::Integer(Some(_))) => {
            Err(other(Some("Write zero or a greater number".to_owned())))
        }
        (ValueKind::Integer, Written::Text(text)) if text.parse::<i64>().is_ok() => {
            Err(other(Some(format!("Write it without quotes: `{text}`"))))
        }
        (ValueKind::Number, Written::Integer(Some(integer))) if integer.unsigned_abs() < 1 << 53 => {
            Ok(Value::Number(Number(integer as f64)))
        }
        (ValueKind::Number, Written::Number(number)) if number.is_finite() => {
            Ok(Value::Number(Number(number)))
        }
        (ValueKind::Number, Written::Text(text)) if text.parse::<f64>().is_ok() => {
            Err(other(Some(format!("Write it without quotes: `{text}`"))))
        }
        (ValueKind::Bool, Written::Bool(truth)) => Ok(Value::Bool(truth)),
        (ValueKind::Bool, Written::Text(text @ ("true" | "false"))) => {
            Err(other(Some(format!("Write `#{text}`"))))
        }
        (ValueKind::Fraction, Written::Number(share)) => fraction(share_of_one(share), written),
        (ValueKind::Fraction, Written::Integer(Some(share @ (0 | 1)))) => {
            Ok(Value::Fraction(Number(share as f64)))
        }
        (ValueKind::Fraction, Written::Integer(Some(share @ 2..=100))) => {
            Err(other(Some(format!("Write `\"{share}%\"`"))))
        }
        (ValueKind::Fraction, Written::Text(text)) => fraction(percent(text), written),
        (ValueKind::Bytes, Written::Integer(Some(_))) => {
            Err(other(Some("Write a unit with it, such as `\"525MB\"`".to_owned())))
        }
        (_, Written::Text(text)) => read_text(kind, text, here).unwrap_or_else(|| Err(other(None))),
        _ => Err(other(None)),
    }
}

/// Parses a default, which a schema states as text.
pub(crate) fn read_default(kind: ValueKind, text: &str, here: &PackageId) -> Result<Value, Mismatch> {
    let written = match kind {
        ValueKind::Integer => {
            text.parse().map_or(Written::Text(text), |integer| Written::Integer(Some(integer)))
        }
        ValueKind::Number => text.parse().map_or(Written::Text(text), Written::Number),
        ValueKind::Bool => match text.trim_start_matches('#') {
            "true" => Written::Bool(true),
            "false" => Written::Bool(false),
            _ => Written::Text(text),
        },
        _ => Written::Text(text),
    };
    read(kind, written, here)
}

fn fraction(share: Result<f64, String>, written: Written<'_>) -> Result<Value, Mismatch> {
    let mismatch = |reason| Mismatch { found: written.describe(), help: Some(sentence(reason)) };
    share.map(|share| Value::Fraction(Number(share))).map_err(mismatch)
}

/// Parses a string; `None` if the kind is not written as a string.
fn read_text(kind: ValueKind, text: &str, here: &PackageId) -> Option<Result<Value, Mismatch>> {
    let mismatch =
        |help: String| Mismatch { found: Written::Text(text).describe(), help: Some(sentence(help)) };
    Some(match kind {
        ValueKind::Text => Ok(Value::Text(text.to_owned())),
        ValueKind::OneOf(words) => one_of(&words(), text),
        ValueKind::Advised(words, advice) => one_of(&words(), text)
            .map_err(|mismatch| Mismatch { help: advice(text).or(mismatch.help), found: mismatch.found }),
        ValueKind::Tag if text == NO_CACHE => Err(mismatch(NO_CACHE_HELP.to_owned())),
        ValueKind::Tag => one_of(&Tags::words(), text),
        ValueKind::Label => {
            Label::parse(text, here).map(Value::Label).map_err(|error| label_mismatch(text, error.reason))
        }
        ValueKind::Path => normalize(text).map(Value::Path).map_err(|reason| mismatch(reason.to_owned())),
        ValueKind::Glob => normalize(text).map(Value::Glob).map_err(|reason| mismatch(reason.to_owned())),
        ValueKind::Bytes => bytes(text).map(Value::Bytes).map_err(mismatch),
        ValueKind::Fraction | ValueKind::Integer | ValueKind::Number | ValueKind::Bool => return None,
    })
}

fn one_of(words: &[&str], text: &str) -> Result<Value, Mismatch> {
    if words.contains(&text) {
        return Ok(Value::Text(text.to_owned()));
    }
    let near = words.iter().find(|word| word.eq_ignore_ascii_case(text));
    let near = near.map(|word| format!("Did you mean `{word}`?"));
    let all = || (words.len() > MAX_WORDS).then(|| format!("Known: `{}`", words.join("`, `")));
    let help = near.or_else(|| did_you_mean(text, words.iter().copied())).or_else(all);
    Err(Mismatch { found: Written::Text(text).describe(), help })
}

/// A Bazel tag that has no meaning here.
const NO_CACHE: &str = "no-cache";
const NO_CACHE_HELP: &str = "The store on this machine keeps every result, because that makes a build incremental; \
                             write `no-remote-cache` to keep results out of the remote cache";

fn label_mismatch(text: &str, reason: &str) -> Mismatch {
    let found = Written::Text(text).describe();
    let with_colon = format!(":{text}");
    // The missing colon is the most common error.
    let help = match Label::parse(&with_colon, &PackageId(String::new())) {
        Ok(_) => format!("Write `{with_colon}` for a target of this package"),
        Err(_) if !text.starts_with("//") && text.contains('/') => {
            "A label names a declared target and not a path".to_owned()
        }
        Err(_) => sentence(reason.to_owned()),
    };
    Mismatch { found, help: Some(help) }
}

fn sentence(reason: String) -> String {
    let mut characters = reason.chars();
    match characters.next() {
        Some(first) => first.to_uppercase().chain(characters).collect(),
        None => reason,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn here() -> PackageId {
        PackageId("models".to_owned())
    }

    #[test]
    fn values_are_read_as_their_kind_says() {
        for (kind, written, value) in [
            (ValueKind::Text, Written::Text("x"), Value::Text("x".to_owned())),
            (ValueKind::Integer, Written::Integer(Some(7)), Value::Integer(7)),
            (ValueKind::Number, Written::Integer(Some(-7)), Value::Number(Number(-7.0))),
            (ValueKind::Bool, Written::Bool(true), Value::Bool(true)),
            (ValueKind::Path, Written::Text("./a/"), Value::Path("a".to_owned())),
            (ValueKind::Bytes, Written::Text("1KB"), Value::Bytes(1000)),
            (ValueKind::Fraction, Written::Text("2%"), Value::Fraction(Number(0.02))),
            (ValueKind::Fraction, Written::Number(0.02), Value::Fraction(Number(0.02))),
            (ValueKind::Label, Written::Text(":x"), Value::Label(Label::new(here(), "x"))),
        ] {
            assert_eq!(read(kind, written, &here()), Ok(value));
        }
    }

    #[test]
    fn an_error_for_another_kind_names_the_found_value() {
        let wrong = |kind, written| read(kind, written, &here()).unwrap_err();
        assert_eq!(wrong(ValueKind::Text, Written::Integer(Some(1))).found, "found the number `1`");
        assert_eq!(
            wrong(ValueKind::Integer, Written::Text("8")).help.unwrap(),
            "Write it without quotes: `8`"
        );
        assert_eq!(wrong(ValueKind::Bool, Written::Text("true")).help.unwrap(), "Write `#true`");
        assert_eq!(wrong(ValueKind::Fraction, Written::Integer(Some(95))).help.unwrap(), "Write `\"95%\"`");
        assert_eq!(
            wrong(ValueKind::Label, Written::Text("base")).help.unwrap(),
            "Write `:base` for a target of this package"
        );
        assert_eq!(wrong(ValueKind::Number, Written::Number(f64::INFINITY)).found, "found the number `inf`");
        assert_eq!(wrong(ValueKind::Integer, Written::Null).found, "found `#null`");
    }

    #[test]
    fn defaults_are_read_from_text() {
        assert_eq!(read_default(ValueKind::Integer, "32", &here()), Ok(Value::Integer(32)));
        assert_eq!(read_default(ValueKind::Number, "1.0", &here()), Ok(Value::Number(Number(1.0))));
        assert_eq!(read_default(ValueKind::Bool, "#true", &here()), Ok(Value::Bool(true)));
        assert_eq!(read_default(ValueKind::Fraction, "2%", &here()), Ok(Value::Fraction(Number(0.02))));
    }
}
