//! Finds the pre-tokenizer that a name in a GGUF, or the description in a `tokenizer.json`, stands for.
//!
//! GGUF carries only a name, so the expression behind a name is part of the format. It is recognized by that expression
//! and not by the ids of a test sentence, because those change with every vocabulary that somebody trains.

use serde_json::Value;

use crate::error::FamilyError;
use crate::tokenizer::pre_tokenizer::PreTokenizer;
use crate::tokenizer::pre_tokenizers::{DIGIT, GPT2, PRE_TOKENIZERS};

/// The pre-tokenizer called `name` in GGUF.
///
/// # Errors
/// When it is not known.
pub fn named(name: &str) -> Result<&'static PreTokenizer, FamilyError> {
    PRE_TOKENIZERS.iter().find(|known| known.name == name).ok_or_else(|| {
        FamilyError::Tokenizer(format!("Pre-tokenizer `{name}` is not known; expected {}", names()))
    })
}

/// The pre-tokenizer that the `tokenizer.json` of an `architecture` describes under `pre_tokenizer`.
///
/// # Errors
/// When it is none of the known ones.
pub fn recognize(
    description: &Value,
    ignore_merges: bool,
    architecture: &str,
) -> Result<&'static PreTokenizer, FamilyError> {
    let steps = steps(description);
    let unknown = || {
        FamilyError::Tokenizer(format!(
            "The pre-tokenizer of `tokenizer.json` is not known: {}. Known are {}; to add one, add a row to \
             `compiler/family/src/tokenizer/pre_tokenizers.rs`",
            shown(&steps, description),
            names()
        ))
    };
    let expressions = expressions(&steps).ok_or_else(unknown)?;
    let fits = |known: &&PreTokenizer| {
        known.expressions == expressions
            && (known.families.is_empty() || known.families.contains(&architecture))
    };
    let mut known: Vec<&PreTokenizer> = PRE_TOKENIZERS.iter().filter(fits).collect();
    // Stable, so that rows of equal rank keep their order.
    known.sort_by_key(|known| (known.families.is_empty(), known.ignore_merges != ignore_merges));
    known.first().copied().ok_or_else(unknown)
}

fn names() -> String {
    let given = PRE_TOKENIZERS.iter().filter(|known| known.families != [""]);
    given.map(|known| format!("`{}`", known.name)).collect::<Vec<_>>().join(", ")
}

// A sequence's steps, flat, or the one step.
fn steps(description: &Value) -> Vec<&Value> {
    match description.get("pretokenizers").and_then(Value::as_array) {
        Some(inner) => inner.iter().flat_map(steps).collect(),
        None => vec![description],
    }
}

// The expressions of steps that end in bytes; `None` when a step does something else.
fn expressions<'a>(steps: &[&'a Value]) -> Option<Vec<&'a str>> {
    let (last, first) = steps.split_last()?;
    let flag = |key: &str| last.get(key).and_then(Value::as_bool).unwrap_or(true);
    if last["type"] != "ByteLevel" || flag("add_prefix_space") {
        return None;
    }
    let mut expressions: Vec<&str> = first.iter().map(|step| expression(step)).collect::<Option<_>>()?;
    if flag("use_regex") {
        expressions.push(GPT2);
    }
    Some(expressions)
}

fn expression(step: &Value) -> Option<&str> {
    match step["type"].as_str()? {
        "Split" => {
            // Keeping what an expression does not match away is the same, as all of these match every character.
            let isolates = step["behavior"] == "Isolated" && step["invert"] == false
                || step["behavior"] == "Removed" && step["invert"] == true;
            step["pattern"]["Regex"].as_str().filter(|_| isolates).map(same)
        }
        "Digits" if step["individual_digits"] == true => Some(DIGIT),
        _ => None,
    }
}

// Ways to write one expression.
fn same(expression: &str) -> &str {
    match expression {
        r"\p{N}{1}" | r"\d" | "[0-9]" => DIGIT,
        r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+" => GPT2,
        other => other,
    }
}

// The expressions if there are any, else the whole description.
fn shown(steps: &[&Value], description: &Value) -> String {
    let expressions: Vec<String> = steps
        .iter()
        .filter_map(|step| step["pattern"]["Regex"].as_str())
        .map(|expression| format!("`{expression}`"))
        .collect();
    if expressions.is_empty() { format!("`{description}`") } else { expressions.join(", then ") }
}
