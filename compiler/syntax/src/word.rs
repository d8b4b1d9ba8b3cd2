//! The meaning of bare words and of words after `#`.
//!
//! The words of KDL 1 (`true`, `null`) are errors here. They are read with the intended meaning, so that no second
//! error follows.

use crate::diagnostic::Diagnostic;
use crate::nearest::nearest;
use crate::number::{Number, looks_like_number, number};
use crate::sink::Sink;
use crate::span::Span;
use crate::tree::Value;

const KEYWORDS: [&str; 6] = ["#true", "#false", "#null", "#inf", "#-inf", "#nan"];

/// The value of a bare word.
pub(crate) fn word(word: &str, span: Span, sink: &mut Sink) -> Value {
    if looks_like_number(word) {
        return number_value(word, span, sink);
    }
    let Some(value) = keyword_value(word) else { return Value::String(word.to_owned()) };
    let message = format!("Expected text or a value, found the reserved word `{word}`");
    let help = format!("KDL 2 writes the value as `#{word}` and the text as `\"{word}\"`");
    sink.push(Diagnostic::error("kdl::keyword", message, span).with_help(help));
    value
}

/// The value of `#` and a word; `None` if there is no such keyword.
pub(crate) fn keyword(written: &str, span: Span, sink: &mut Sink) -> Option<Value> {
    let value = written.strip_prefix('#').and_then(keyword_value);
    if value.is_none() {
        let message = format!("Expected a keyword, found `{}`", excerpt(written));
        let help = nearest(written, KEYWORDS).map_or_else(
            || {
                "The keywords are `#true #false #null #inf #-inf #nan`; put text with `#` in quotes"
                    .to_owned()
            },
            |near| format!("Did you mean `{near}`?"),
        );
        sink.push(Diagnostic::error("kdl::keyword", message, span).with_help(help));
    }
    value
}

/// Returns true if `#` and a word form a keyword.
pub(crate) fn is_keyword(written: &str) -> bool {
    KEYWORDS.contains(&written)
}

/// Returns true if a bare word can be a string unquoted: it is neither a number nor reserved.
pub(crate) fn is_identifier(word: &str) -> bool {
    !looks_like_number(word) && keyword_value(word).is_none()
}

/// A piece of text, truncated for a message.
pub(crate) fn excerpt(text: &str) -> String {
    const MAX_CHARS: usize = 40;
    match text.char_indices().nth(MAX_CHARS) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

fn keyword_value(word: &str) -> Option<Value> {
    match word {
        "true" => Some(Value::Bool(true)),
        "false" => Some(Value::Bool(false)),
        "null" => Some(Value::Null),
        "inf" => Some(Value::Infinity),
        "-inf" => Some(Value::NegInfinity),
        "nan" => Some(Value::NaN),
        _ => None,
    }
}

/// An invalid number is read as text, so that the entry is not lost.
fn number_value(word: &str, span: Span, sink: &mut Sink) -> Value {
    match number(word) {
        Ok(Number::Integer(integer)) => Value::Integer(integer),
        Ok(Number::Float(float)) => Value::Float(float),
        Err(error) => {
            let start = span.start + error.offset;
            let found = word[error.offset..].chars().next().map_or(0, char::len_utf8);
            let diagnostic = Diagnostic::error("kdl::number", error.message, Span::new(start, start + found));
            let help = format!("{}; put text in quotes: `\"{}\"`", error.help, excerpt(word));
            sink.push(diagnostic.with_help(help));
            Value::String(word.to_owned())
        }
    }
}
