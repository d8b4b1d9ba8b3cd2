//! How a byte-level tokenizer cuts text into words before any merge, and by which name a GGUF calls that.
//!
//! GGUF carries only a name, so the expression behind a name is part of the format. It is recognised by that expression
//! and not by the ids of a test sentence, because those change with every vocabulary that somebody trains.
//!
//! The names and expressions are in [`crate::tokenizer::pre_tokenizers`].

use serde_json::Value;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::{PreTokenizerWrapper, SplitDelimiterBehavior};

use crate::error::FamilyError;
use crate::tokenizer::pre_tokenizers::{DIGIT, GPT2, PRE_TOKENIZERS};

/// One way to cut text into words.
#[derive(Debug)]
pub struct PreTokenizer {
    /// The name in GGUF.
    pub name: &'static str,
    /// The expressions that cut text, one after the other; what one matches and what lies between are words.
    pub(crate) expressions: &'static [&'static str],
    /// The families (GGUF's words) that give the expressions this name; none: all others.
    pub(crate) families: &'static [&'static str],
    /// Whether a word that is a token is taken whole, before any merge.
    pub ignore_merges: bool,
}

impl PreTokenizer {
    /// The pre-tokenizer called `name` in GGUF.
    ///
    /// # Errors
    /// When it is not known.
    pub fn named(name: &str) -> Result<&'static Self, FamilyError> {
        PRE_TOKENIZERS.iter().find(|known| known.name == name).ok_or_else(|| {
            FamilyError::Tokenizer(format!("Pre-tokenizer `{name}` is not known; expected {}", names()))
        })
    }

    /// The pre-tokenizer that the `tokenizer.json` of an `architecture` describes under `pre_tokenizer`.
    ///
    /// # Errors
    /// When it is none of the known ones.
    pub fn recognise(
        description: &Value,
        ignore_merges: bool,
        architecture: &str,
    ) -> Result<&'static Self, FamilyError> {
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
        let fits = |known: &&Self| {
            known.expressions == expressions
                && (known.families.is_empty() || known.families.contains(&architecture))
        };
        let mut known: Vec<&Self> = PRE_TOKENIZERS.iter().filter(fits).collect();
        // Stable, so that rows of equal rank keep their order.
        known.sort_by_key(|known| (known.families.is_empty(), known.ignore_merges != ignore_merges));
        known.first().copied().ok_or_else(unknown)
    }

    /// The step of the `tokenizers` crate that cuts so.
    ///
    /// # Errors
    /// When an expression does not compile.
    pub fn step(&self) -> Result<PreTokenizerWrapper, FamilyError> {
        let mut steps: Vec<PreTokenizerWrapper> = Vec::new();
        for expression in self.expressions {
            let pattern = SplitPattern::Regex((*expression).to_owned());
            let split = Split::new(pattern, SplitDelimiterBehavior::Isolated, false).map_err(|error| {
                FamilyError::Tokenizer(format!("Pre-tokenizer `{}` does not compile: {error}", self.name))
            })?;
            steps.push(split.into());
        }
        steps.push(ByteLevel::new(false, true, false).into());
        Ok(Sequence::new(steps).into())
    }
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
