//! `tokenizer.json`, as the `tokenizers` library writes it, read into types.
//!
//! Only byte-level byte-pair encoding is accepted. What would make two encodings of one text differ, or what no
//! container carries, is refused here.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::error::FamilyError;
use crate::merges;

/// The parts of `tokenizer.json` that a vocabulary is made of.
#[derive(Debug, Deserialize)]
pub struct TokenizerJson {
    /// Tokens beside the model's, each with its id.
    #[serde(default)]
    pub added_tokens: Vec<AddedToken>,
    /// What changes text before anything else.
    pub normalizer: Option<Value>,
    /// What cuts text into words.
    #[serde(default)]
    pub pre_tokenizer: Value,
    /// What adds tokens around a text.
    #[serde(default)]
    pub post_processor: Value,
    /// Pieces and merges.
    pub model: Model,
}

/// A token that is cut out of the text before the model sees it.
#[derive(Clone, Debug, Deserialize)]
pub struct AddedToken {
    /// Its id.
    pub id: u32,
    /// Its text.
    pub content: String,
    /// Whether it is a control token.
    #[serde(default)]
    pub special: bool,
}

/// The pieces and the merges.
#[derive(Debug, Deserialize)]
pub struct Model {
    /// The id of each piece.
    pub vocab: BTreeMap<String, u32>,
    /// Which two pieces become one, most frequent first.
    pub merges: Vec<Merge>,
    /// Probability of leaving a merge out.
    #[serde(default)]
    pub dropout: Option<f32>,
    /// Whether unknown characters become tokens of single bytes.
    #[serde(default)]
    pub byte_fallback: bool,
    /// Put before a piece that does not begin a word.
    #[serde(default)]
    pub continuing_subword_prefix: Option<String>,
    /// Put after a piece that ends a word.
    #[serde(default)]
    pub end_of_word_suffix: Option<String>,
}

/// Two pieces; old files part them by a space.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub enum Merge {
    /// `"a b"`.
    Text(String),
    /// `["a", "b"]`.
    Pair(String, String),
}

/// The part that must be seen first, because the other kinds have another shape.
#[derive(Deserialize)]
struct Kind {
    model: KindOfModel,
}

#[derive(Deserialize)]
struct KindOfModel {
    #[serde(rename = "type")]
    kind: Option<String>,
}

impl TokenizerJson {
    /// Reads the bytes of `tokenizer.json`.
    ///
    /// # Errors
    /// When they are no tokenizer or one of another kind.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, FamilyError> {
        if bytes.is_empty() {
            return Err(FamilyError::Tokenizer(
                "`tokenizer.json` is missing or empty; save the checkpoint with its fast tokenizer"
                    .to_owned(),
            ));
        }
        let kind: Kind = serde_json::from_slice(bytes).map_err(unreadable)?;
        // Files from before the key existed are all of this kind.
        let kind = kind.model.kind.as_deref().unwrap_or("BPE");
        if kind != "BPE" {
            return Err(other_kind(&format!("its model is `{kind}`")));
        }
        let read: Self = serde_json::from_slice(bytes).map_err(unreadable)?;
        if read.model.byte_fallback {
            return Err(other_kind("it falls back to tokens of single bytes"));
        }
        if read.model.dropout.is_some_and(|dropout| dropout > 0.0) {
            return Err(other_kind("it leaves merges out at random (`dropout`)"));
        }
        let marks = [&read.model.continuing_subword_prefix, &read.model.end_of_word_suffix];
        if marks.into_iter().flatten().any(|mark| !mark.is_empty()) {
            return Err(other_kind(
                "it marks the parts of a word (`continuing_subword_prefix`, `end_of_word_suffix`)",
            ));
        }
        read.check_normalizer()?;
        let pairs = read.model.merges.iter().map(Merge::pieces).collect::<Result<Vec<_>, _>>()?;
        merges::check(pairs, |piece| read.model.vocab.contains_key(piece))?;
        Ok(read)
    }

    fn check_normalizer(&self) -> Result<(), FamilyError> {
        match &self.normalizer {
            None => Ok(()),
            Some(normalizer) if normalizer["type"] == "NFC" => Ok(()),
            Some(normalizer) => Err(FamilyError::Tokenizer(format!(
                "The normalizer of `tokenizer.json` is `{normalizer}`; expected none or `NFC`"
            ))),
        }
    }
}

impl AddedToken {
    /// Whether it is a control token, by its flag or by its look.
    ///
    /// Trainers often forget the flag, and a control token that is shown as text is noticed by everyone.
    /// Source: `does_token_look_special`, `convert_hf_to_gguf.py` of llama.cpp.
    pub fn is_control(&self) -> bool {
        let text = self.content.as_str();
        let between = |start: &str, end: &str| text.starts_with(start) && text.ends_with(end);
        self.special
            || matches!(text, "<pad>" | "<mask>" | "<2mass>" | "[@BOS@]")
            || between("<|", "|>")
            || between("<｜", "｜>")
            || between("<unused", ">")
    }
}

impl Merge {
    fn pieces(&self) -> Result<(&str, &str), FamilyError> {
        match self {
            Self::Text(text) => merges::pieces(text),
            Self::Pair(left, right) => Ok((left, right)),
        }
    }

    /// The two pieces parted by a space; spaces inside a piece are written as byte-level text has them.
    pub fn text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Pair(left, right) => format!("{} {}", left.replace(' ', "Ġ"), right.replace(' ', "Ġ")),
        }
    }
}

fn unreadable(error: serde_json::Error) -> FamilyError {
    FamilyError::Tokenizer(format!("`tokenizer.json` cannot be read: {error}; save or download it again"))
}

fn other_kind(reason: &str) -> FamilyError {
    FamilyError::Tokenizer(format!(
        "`tokenizer.json` is not supported yet: {reason}; expected a byte-level `BPE`"
    ))
}
