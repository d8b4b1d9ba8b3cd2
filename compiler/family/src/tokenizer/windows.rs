//! Splits long texts into windows, so that the memory for encoding them depends on the window and not on the
//! text.
//!
//! The library keeps some three hundred bytes for each byte of a text while it encodes it. A text may be cut
//! where the cut changes no id. The position depends on the tokenizer:
//!
//! * If an expression splits a text into words first, and merges stay within words: between two words. The text from
//!   its beginning on, and a little of what follows, decide what a word is, so a window is cut well before its end and the
//!   next one begins there.
//! * If merges may cross spaces, as in `SentencePiece`'s vocabularies: before a space, after a letter that no piece
//!   has before a space. A merge produces only pieces, so none crosses such a position.
//!
//! A tokenizer of another kind, or a text without such a position, is encoded as a whole up to
//! [`MAX_WHOLE_BYTES`].

use serde_json::Value;
use tokenizers::{Encoding, NormalizerWrapper, PreTokenizerWrapper};

use crate::tokenizer::added_tokens::AddedToken;

/// Size of a window in bytes.
pub const WINDOW_BYTES: usize = 64 << 10;

/// Maximum number of bytes that are encoded at once if no cut is possible.
pub const MAX_WHOLE_BYTES: usize = 2 << 20;

/// Number of words after a cut in its window: expressions look ahead over one run of letters, digits or
/// spaces.
const WORDS_AFTER_CUT: usize = 8;

/// Positions at which a text may be cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cuts {
    /// Between words, this many bytes before the end of a window.
    Words {
        /// Minimum number of bytes from a cut to the end of its window.
        margin: usize,
        /// True if characters may be composed, so that a cut must be before one that never is.
        is_normalized: bool,
    },
    /// Before a space between two letters or digits.
    Spaces {
        /// True if the tokenizer puts a space before a text, which then replaces the text's own.
        has_prefix: bool,
    },
    /// Nowhere.
    Never,
}

impl Cuts {
    /// Finds the positions at which texts may be cut for a tokenizer of these parts.
    ///
    /// * `pieces`: those of the vocabulary, in the form of its merges
    pub(crate) fn of<'a>(
        normalizer: Option<&NormalizerWrapper>,
        pre_tokenizer: Option<&PreTokenizerWrapper>,
        added: &[AddedToken],
        ignore_merges: bool,
        pieces: impl Iterator<Item = &'a str>,
    ) -> Self {
        let described =
            |step: Option<serde_json::Result<Value>>| step.and_then(Result::ok).unwrap_or_default();
        let normalizer = described(normalizer.map(serde_json::to_value));
        let pre_tokenizer = described(pre_tokenizer.map(serde_json::to_value));
        let is_composing = normalizer["type"] == "NFC";
        if (normalizer.is_null() || is_composing) && is_words(&pre_tokenizer) {
            // Such a token depends on the adjacent letters, which may be in another window.
            if added.iter().any(|token| token.single_word) {
                return Self::Never;
            }
            let longest = added.iter().map(|token| token.content.len()).max().unwrap_or(0);
            return Self::Words { margin: longest + 16, is_normalized: is_composing };
        }
        let has_prefix = match prefix(&normalizer, &pre_tokenizer) {
            Some(has_prefix) if !ignore_merges => has_prefix,
            _ => return Self::Never,
        };
        let begins_with_letter =
            |token: &AddedToken| token.content.starts_with(|c: char| c.is_ascii_alphanumeric());
        if added.iter().any(|token| begins_with_letter(token) || token.content.contains(' ')) {
            return Self::Never;
        }
        let mut has_space = false;
        for piece in pieces {
            has_space |= piece == "▁";
            if crosses_space(piece) {
                return Self::Never;
            }
        }
        if has_space { Self::Spaces { has_prefix } } else { Self::Never }
    }
}

/// Returns true if a piece has a space after a letter or digit.
pub(crate) fn crosses_space(piece: &str) -> bool {
    piece.match_indices('▁').any(|(at, _)| piece[..at].ends_with(|c: char| c.is_ascii_alphanumeric()))
}

/// Returns true if a step splits a text into words by expressions that do not depend on the text before a
/// word.
fn is_words(step: &Value) -> bool {
    match step["type"].as_str() {
        Some("Sequence") => {
            let steps = step["pretokenizers"].as_array().map_or(&[][..], Vec::as_slice);
            // The last one may only rewrite the words of those before it.
            steps.iter().all(|step| is_words(step) || is_rewriting(step)) && steps.iter().any(is_words)
        }
        Some("Split") => {
            // Keeping matches equals removing the text between them.
            let is_kept = step["behavior"] == "Isolated" && step["invert"] == false
                || step["behavior"] == "Removed" && step["invert"] == true;
            is_kept && step["pattern"]["Regex"].as_str().is_some_and(looks_ahead_alone)
        }
        Some("Digits") => true,
        Some("ByteLevel") => step["add_prefix_space"] == false && step["use_regex"] == true,
        _ => false,
    }
}

fn is_rewriting(step: &Value) -> bool {
    step["type"] == "ByteLevel" && step["add_prefix_space"] == false
}

fn looks_ahead_alone(expression: &str) -> bool {
    let has_anchor =
        ["(?<", "\\b", "\\B", "\\A", "\\G", "\\z", "\\Z", "$"].iter().any(|word| expression.contains(word));
    let has_start = expression.match_indices('^').any(|(at, _)| !expression[..at].ends_with('['));
    !has_anchor && !has_start
}

/// Returns true if a tokenizer that writes spaces as `▁`, and does not split text, begins a text with one;
/// `None` for other kinds.
fn prefix(normalizer: &Value, pre_tokenizer: &Value) -> Option<bool> {
    let is_replace = |step: &Value| {
        step["type"] == "Replace" && step["pattern"]["String"] == " " && step["content"] == "▁"
    };
    let steps = normalizer["normalizers"].as_array();
    let begins = match steps.map(Vec::as_slice) {
        Some([prepend, replace])
            if prepend["type"] == "Prepend" && prepend["prepend"] == "▁" && is_replace(replace) =>
        {
            true
        }
        Some([replace]) if is_replace(replace) => false,
        None if is_replace(normalizer) => false,
        None if normalizer.is_null() => {
            let is_plain = pre_tokenizer["type"] == "Metaspace"
                && pre_tokenizer["split"] == false
                && pre_tokenizer["replacement"] == "▁";
            return is_plain.then(|| pre_tokenizer["prepend_scheme"] != "never");
        }
        _ => return None,
    };
    // No space is left at which it could split.
    let cuts_at_spaces = pre_tokenizer["type"] == "Split" && pre_tokenizer["pattern"]["String"] == " ";
    (pre_tokenizer.is_null() || cuts_at_spaces).then_some(begins)
}

/// Returns the last position between words of `text` that is far enough from its end: tokens before it, and
/// its byte.
pub(crate) fn word_cut(
    encoding: &Encoding,
    text: &str,
    margin: usize,
    is_normalized: bool,
) -> Option<(usize, usize)> {
    let (words, offsets) = (encoding.get_word_ids(), encoding.get_offsets());
    let mut n_words = 0;
    for token in (1..words.len()).rev() {
        if words[token] == words[token - 1] {
            continue;
        }
        n_words += 1;
        let at = offsets[token].0;
        let is_far = n_words >= WORDS_AFTER_CUT && at + margin <= text.len();
        let is_plain = !is_normalized || text.as_bytes().get(at).is_some_and(u8::is_ascii);
        if is_far && is_plain && at > 0 && offsets[token - 1].1 <= at && text.is_char_boundary(at) {
            return Some((token, at));
        }
    }
    None
}

/// Returns the first byte at or after `from` with a space between two letters or digits.
pub(crate) fn space_cut(text: &str, from: usize) -> Option<usize> {
    let bytes = text.as_bytes();
    let is_cut = |at: &usize| {
        bytes[*at] == b' ' && bytes[at - 1].is_ascii_alphanumeric() && bytes[at + 1].is_ascii_alphanumeric()
    };
    (from.max(1)..bytes.len().saturating_sub(1)).find(is_cut)
}
