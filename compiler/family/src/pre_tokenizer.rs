//! The pre-tokenizers that a byte-level vocabulary may name, and how each is recognised.
//!
//! A pre-tokenizer cuts text into words before any merge. GGUF carries only its name, so the expression behind a name
//! is part of the format. It is recognised by that expression and not by the ids of a test sentence, because those
//! change with every vocabulary that somebody trains.
//!
//! Source: `llama-vocab.cpp` of llama.cpp for names and expressions; the expressions are those of the models' own
//! `tokenizer.json`.

use serde_json::Value;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::{PreTokenizerWrapper, SplitDelimiterBehavior};

use crate::error::FamilyError;

/// One way to cut text into words.
#[derive(Debug)]
pub struct PreTokenizer {
    /// The name in GGUF.
    pub name: &'static str,
    /// The words' regular expression; `None` is GPT-2's, which the byte-level step has built in.
    expression: Option<&'static str>,
    /// Whether a word that is a token is taken whole, before any merge.
    pub ignore_merges: bool,
}

/// Every pre-tokenizer. To add one, add a row.
const PRE_TOKENIZERS: &[PreTokenizer] = &[
    PreTokenizer {
        name: "llama-bpe",
        expression: Some(
            r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
        ),
        ignore_merges: true,
    },
    PreTokenizer {
        name: "qwen2",
        expression: Some(
            r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
        ),
        ignore_merges: false,
    },
    PreTokenizer { name: "gpt-2", expression: None, ignore_merges: false },
];

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

    /// The pre-tokenizer that `tokenizer.json` describes under `pre_tokenizer`.
    ///
    /// # Errors
    /// When it is none of the known ones.
    pub fn recognise(description: &Value) -> Result<&'static Self, FamilyError> {
        let steps = match description.get("pretokenizers").and_then(Value::as_array) {
            Some(steps) => steps.iter().collect(),
            None => vec![description],
        };
        let known = match steps.as_slice() {
            [bytes] if is_byte_level(bytes, true) => {
                PRE_TOKENIZERS.iter().find(|known| known.expression.is_none())
            }
            [split, bytes] if is_byte_level(bytes, false) => {
                let found = isolating_expression(split);
                PRE_TOKENIZERS.iter().find(|known| known.expression.is_some() && known.expression == found)
            }
            _ => None,
        };
        known.ok_or_else(|| {
            FamilyError::Tokenizer(format!(
                "The pre-tokenizer of `tokenizer.json` is not known: {}. Known are {}; to add one, add a row to \
                 `compiler/family/src/pre_tokenizer.rs`",
                shown(&steps, description),
                names()
            ))
        })
    }

    /// The step of the `tokenizers` crate that cuts so.
    ///
    /// # Errors
    /// When the expression does not compile.
    pub fn step(&self) -> Result<PreTokenizerWrapper, FamilyError> {
        let Some(expression) = self.expression else {
            return Ok(ByteLevel::new(false, true, true).into());
        };
        let pattern = SplitPattern::Regex(expression.to_owned());
        let split = Split::new(pattern, SplitDelimiterBehavior::Isolated, false).map_err(|error| {
            FamilyError::Tokenizer(format!("Pre-tokenizer `{}` does not compile: {error}", self.name))
        })?;
        Ok(Sequence::new(vec![split.into(), ByteLevel::new(false, true, false).into()]).into())
    }
}

fn names() -> String {
    PRE_TOKENIZERS.iter().map(|known| format!("`{}`", known.name)).collect::<Vec<_>>().join(", ")
}

fn is_byte_level(step: &Value, use_regex: bool) -> bool {
    let flag = |key: &str| step.get(key).and_then(Value::as_bool).unwrap_or(true);
    step["type"] == "ByteLevel" && !flag("add_prefix_space") && flag("use_regex") == use_regex
}

// The expression of a step that keeps what it matches and what lies between as words.
fn isolating_expression(step: &Value) -> Option<&str> {
    let isolates = step["type"] == "Split" && step["behavior"] == "Isolated" && step["invert"] == false;
    step["pattern"]["Regex"].as_str().filter(|_| isolates)
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
