//! Extracts the expressions of the pre-tokenizer that a `tokenizer.json` describes.

use mc_decoder::pre_tokenizer::{Cut, DIGIT, GPT2, PreTokenizer};
use serde_json::Value;

/// Returns the pre-tokenizer that a `tokenizer.json` describes under `pre_tokenizer`.
///
/// * `ignore_merges`: true if a word that is a token is taken whole
pub fn recognize(description: &Value, ignore_merges: bool) -> PreTokenizer {
    let steps = steps(description);
    let cut = match expressions(&steps) {
        Some(expressions) => Cut::Expressions {
            expressions: expressions.into_iter().map(str::to_owned).collect(),
            ignore_merges,
        },
        None => Cut::Unknown(format!(
            "The pre-tokenizer of `tokenizer.json` is not known: {}",
            shown(&steps, description)
        )),
    };
    PreTokenizer { name: None, cut }
}

// Returns a sequence's steps, flattened, or the one step.
fn steps(description: &Value) -> Vec<&Value> {
    match description.get("pretokenizers").and_then(Value::as_array) {
        Some(inner) => inner.iter().flat_map(steps).collect(),
        None => vec![description],
    }
}

// Returns the expressions of steps that end in bytes; `None` if a step does something else.
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
            // Removing the text that does not match is equivalent, because each of these expressions matches
            // every character.
            let isolates = step["behavior"] == "Isolated" && step["invert"] == false
                || step["behavior"] == "Removed" && step["invert"] == true;
            step["pattern"]["Regex"].as_str().filter(|_| isolates).map(same)
        }
        "Digits" if step["individual_digits"] == true => Some(DIGIT),
        _ => None,
    }
}

// Normalizes equivalent spellings of an expression.
fn same(expression: &str) -> &str {
    match expression {
        r"\p{N}{1}" | r"\d" | "[0-9]" => DIGIT,
        r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+" => GPT2,
        other => other,
    }
}

// Formats the expressions if there are any, else the whole description.
fn shown(steps: &[&Value], description: &Value) -> String {
    let expressions: Vec<String> = steps
        .iter()
        .filter_map(|step| step["pattern"]["Regex"].as_str())
        .map(|expression| format!("`{expression}`"))
        .collect();
    if expressions.is_empty() { format!("`{description}`") } else { expressions.join(", then ") }
}
