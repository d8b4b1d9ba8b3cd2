//! Types for `tokenizer.json`, as the `tokenizers` library writes it.
//!
//! Byte-pair encoding is accepted, over bytes or as SentencePiece's. Settings that make the encoding of a
//! text ambiguous, or that no container supports, are refused here.

use std::collections::BTreeMap;

use mc_decoder::vocabulary::VocabularyKind;
use serde::Deserialize;
use serde_json::Value;

use crate::error::FamilyError;
use crate::tokenizer::added_tokens::AddedToken;
use crate::tokenizer::merges;

/// The parts of `tokenizer.json` that affect a vocabulary.
#[derive(Debug, Deserialize)]
pub struct TokenizerJson {
    /// Tokens besides the model's, each with its id.
    #[serde(default)]
    pub added_tokens: Vec<AddedToken>,
    /// The step that changes text first.
    pub normalizer: Option<Value>,
    /// The step that splits text into words.
    #[serde(default)]
    pub pre_tokenizer: Value,
    /// The step that adds tokens around a text.
    #[serde(default)]
    pub post_processor: Value,
    /// Pieces and merges.
    pub model: Model,
}

/// The pieces and the merges.
#[derive(Debug, Deserialize)]
pub struct Model {
    /// The id of each piece.
    pub vocab: BTreeMap<String, u32>,
    /// Pairs of pieces that are merged, most frequent first.
    pub merges: Vec<Merge>,
    /// Probability of skipping a merge.
    #[serde(default)]
    pub dropout: Option<f32>,
    /// True if unknown characters become tokens of single bytes.
    #[serde(default)]
    pub byte_fallback: bool,
    /// The token for text without a token.
    #[serde(default)]
    pub unk_token: Option<String>,
    /// True if neighbors without a token become one unknown token.
    #[serde(default)]
    pub fuse_unk: bool,
    /// True if a word that is a token is taken whole, before any merge.
    #[serde(default)]
    pub ignore_merges: bool,
    /// Put before a piece that does not begin a word.
    #[serde(default)]
    pub continuing_subword_prefix: Option<String>,
    /// Put after a piece that ends a word.
    #[serde(default)]
    pub end_of_word_suffix: Option<String>,
}

/// Two pieces; old files separate them by a space.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub enum Merge {
    /// `"a b"`.
    Text(String),
    /// `["a", "b"]`.
    Pair(String, String),
}

/// The part that is read first, because the other kinds have another structure.
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
    /// Fails if they are not a tokenizer, or one of another kind.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, FamilyError> {
        if bytes.is_empty() {
            return Err(FamilyError::Tokenizer(
                "`tokenizer.json` is missing or empty; save the checkpoint with its fast tokenizer"
                    .to_owned(),
            ));
        }
        let kind: Kind = serde_json::from_slice(bytes).map_err(unreadable)?;
        // Files from before the key existed all have this kind.
        let kind = kind.model.kind.as_deref().unwrap_or("BPE");
        if kind != "BPE" {
            return Err(other_kind(&format!("its model is `{kind}`")));
        }
        let read: Self = serde_json::from_slice(bytes).map_err(unreadable)?;
        if read.model.dropout.is_some_and(|dropout| dropout > 0.0) {
            return Err(other_kind("it leaves merges out at random (`dropout`)"));
        }
        let marks = [&read.model.continuing_subword_prefix, &read.model.end_of_word_suffix];
        if marks.into_iter().flatten().any(|mark| !mark.is_empty()) {
            return Err(other_kind(
                "it marks the parts of a word (`continuing_subword_prefix`, `end_of_word_suffix`)",
            ));
        }
        read.check_steps()?;
        let pairs = read.model.merges.iter().map(Merge::pieces).collect::<Result<Vec<_>, _>>()?;
        merges::check(pairs, read.model.vocab.keys())?;
        Ok(read)
    }

    /// Returns the kind of its vocabulary.
    pub fn kind(&self) -> VocabularyKind {
        if self.model.byte_fallback { VocabularyKind::SentencePiece } else { VocabularyKind::BytePair }
    }

    /// Returns true if it first converts text to Unicode's composed form (NFC), which no container can
    /// express.
    pub fn is_composing(&self) -> bool {
        self.normalizers().iter().any(|step| step["type"] == "NFC")
    }

    /// Returns true if it puts a space before a text; always `false` for byte-level tokenizers.
    pub fn has_space_prefix(&self) -> bool {
        let prepends = self.normalizers().iter().any(|step| step["type"] == "Prepend");
        prepends || self.pre_tokenizers().iter().any(|step| metaspace_prefix(step))
    }

    fn normalizers(&self) -> Vec<&Value> {
        self.normalizer.as_ref().map_or_else(Vec::new, |steps| flat(steps, "normalizers"))
    }

    fn pre_tokenizers(&self) -> Vec<&Value> {
        flat(&self.pre_tokenizer, "pretokenizers")
    }

    // The pre-tokenizer of a byte-level tokenizer is checked by the code that needs its name.
    fn check_steps(&self) -> Result<(), FamilyError> {
        let is_pieces = self.kind() == VocabularyKind::SentencePiece;
        for step in self.normalizers() {
            let replaces_spaces = step["type"] == "Replace"
                && (step["pattern"]["String"] == " " || step["pattern"]["Regex"] == " ")
                && step["content"] == "▁";
            let prepends = step["type"] == "Prepend" && step["prepend"] == "▁";
            if !(step["type"] == "NFC" || is_pieces && (replaces_spaces || prepends)) {
                return Err(FamilyError::Tokenizer(format!(
                    "The normalizer of `tokenizer.json` does `{step}`; expected none or `NFC`{}",
                    if is_pieces { ", or spaces as `▁`" } else { "" }
                )));
            }
        }
        for step in self.pre_tokenizers().into_iter().filter(|_| is_pieces) {
            let splits_at_spaces =
                step["type"] == "Split" && step["pattern"]["String"] == " " && step["invert"] == false;
            let is_metaspace = step["type"] == "Metaspace" && step["replacement"] == "▁";
            if !(splits_at_spaces || is_metaspace) {
                return Err(FamilyError::Tokenizer(format!(
                    "The pre-tokenizer of `tokenizer.json` does `{step}`, which a SentencePiece vocabulary does not \
                     support; expected none, `Metaspace` or a `Split` at spaces"
                )));
            }
        }
        Ok(())
    }
}

// Returns a sequence's steps, or the one step; none for `null`.
fn flat<'a>(step: &'a Value, key: &str) -> Vec<&'a Value> {
    match (step, step.get(key).and_then(Value::as_array)) {
        (Value::Null, _) => Vec::new(),
        (_, Some(steps)) => steps.iter().flat_map(|step| flat(step, key)).collect(),
        (step, None) => vec![step],
    }
}

fn metaspace_prefix(step: &Value) -> bool {
    step["type"] == "Metaspace"
        && match step["prepend_scheme"].as_str() {
            Some(scheme) => scheme != "never",
            // Files from before the scheme existed have a flag.
            None => step["add_prefix_space"].as_bool().unwrap_or(true),
        }
}

impl Merge {
    /// Returns the two pieces.
    ///
    /// # Errors
    /// Fails if a text is not two pieces.
    pub fn pieces(&self) -> Result<(&str, &str), FamilyError> {
        match self {
            Self::Text(text) => merges::pieces(text),
            Self::Pair(left, right) => Ok((left, right)),
        }
    }

    /// Returns the two pieces separated by a space; spaces inside a piece are in the byte-level alphabet.
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
        "`tokenizer.json` is not supported: {reason}; expected a `BPE` over bytes or as SentencePiece makes it"
    ))
}
