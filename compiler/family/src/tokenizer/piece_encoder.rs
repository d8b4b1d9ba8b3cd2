//! Encodes text with a SentencePiece vocabulary, as llama.cpp does.
//!
//! Added tokens are cut out first; if several begin at one position, the longest is taken. Each text in
//! between is split into characters. Of all neighbors whose joined text is a token, the pair with the highest
//! score is joined (of equals, the first), until no pair is left. The rest that is not a token becomes tokens
//! of single bytes.
//!
//! Source: `llm_tokenizer_spm_session` and `tokenizer_st_partition`, `llama-vocab.cpp` of llama.cpp.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BinaryHeap, HashMap};

use mc_decoder::vocabulary::{TokenType, Vocabulary};

use crate::error::FamilyError;
use crate::tokenizer::library_tokenizer::uncuttable;
use crate::tokenizer::parse_special::ParseSpecial;
use crate::tokenizer::piece_vocabulary::byte_of;
use crate::tokenizer::windows::{MAX_WHOLE_BYTES, crosses_space, space_cut};

/// Encodes text by the scores of pieces.
pub(crate) struct PieceEncoder {
    ids: HashMap<String, u32>,
    scores: Vec<f32>,
    /// The id of each byte, or of the unknown token.
    bytes: Vec<u32>,
    /// The tokens that are cut out, by their first byte, the longest first; the flag marks control tokens.
    added: BTreeMap<u8, Vec<(String, u32, bool)>>,
    space_prefix: bool,
    /// True if no piece has a space after a letter or digit, so that texts may be cut there.
    may_cut: bool,
}

/// A run of characters in the chain of remaining runs.
#[derive(Clone, Copy)]
struct Symbol {
    start: usize,
    end: usize,
    previous: Option<usize>,
    next: Option<usize>,
}

/// Two neighbors that may be joined.
struct Pair {
    score: f32,
    left: usize,
    right: usize,
    n_bytes: usize,
}

impl PieceEncoder {
    /// Reads a vocabulary.
    ///
    /// # Errors
    /// Fails if it has neither a token for each byte nor an unknown token.
    pub(crate) fn new(vocabulary: &Vocabulary) -> Result<Self, FamilyError> {
        let mut ids = HashMap::new();
        let mut added: BTreeMap<u8, Vec<(String, u32, bool)>> = BTreeMap::new();
        let mut bytes = vec![None; 256];
        for (id, (token, kind)) in (0..).zip(vocabulary.tokens.iter().zip(&vocabulary.types)) {
            ids.insert(token.clone(), id);
            match kind {
                TokenType::Control | TokenType::Unknown | TokenType::UserDefined => {
                    if let Some(first) = token.bytes().next() {
                        let is_control = *kind != TokenType::UserDefined;
                        added.entry(first).or_default().push((token.clone(), id, is_control));
                    }
                }
                TokenType::Byte => {
                    if let Some(byte) = byte_of(token) {
                        bytes[usize::from(byte)] = Some(id);
                    }
                }
                TokenType::Normal | TokenType::Unused => {}
            }
        }
        for tokens in added.values_mut() {
            tokens.sort_by_key(|(token, id, _)| (std::cmp::Reverse(token.len()), *id));
        }
        let unknown = vocabulary.special.unknown;
        let bytes = bytes.into_iter().map(|id| id.or(unknown)).collect::<Option<Vec<u32>>>();
        let bytes = bytes.ok_or_else(|| {
            FamilyError::Tokenizer(
                "The vocabulary has neither a token for each byte (`<0x00>` …) nor an unknown token"
                    .to_owned(),
            )
        })?;
        let space_prefix = vocabulary.space_prefix.unwrap_or(true);
        let may_cut = !vocabulary.tokens.iter().any(|token| crosses_space(token));
        Ok(Self { ids, scores: vocabulary.scores.clone(), bytes, added, space_prefix, may_cut })
    }

    /// Returns the ids of `text`, which is encoded in windows of about `n_window_bytes` bytes.
    ///
    /// # Errors
    /// Fails if the text is long and cannot be cut.
    pub(crate) fn encode_in_windows(
        &self,
        text: &str,
        special: ParseSpecial,
        n_window_bytes: usize,
    ) -> Result<Vec<u32>, FamilyError> {
        let mut output = Vec::new();
        let (mut start, mut at) = (0, 0);
        let mut after_special = true;
        while at < text.len() {
            let Some((token, id)) = self.added_at(&text[at..], special) else {
                at += text[at..].chars().next().map_or(1, char::len_utf8);
                continue;
            };
            after_special = self.words(&text[start..at], after_special, n_window_bytes, &mut output)?;
            output.push(id);
            after_special |= true;
            at += token.len();
            start = at;
        }
        self.words(&text[start..], after_special, n_window_bytes, &mut output)?;
        Ok(output)
    }

    fn added_at(&self, text: &str, special: ParseSpecial) -> Option<(&str, u32)> {
        let tokens = self.added.get(text.as_bytes().first()?)?;
        let is_looked_for = |is_control: bool| special == ParseSpecial::Yes || !is_control;
        let found =
            tokens.iter().find(|(token, _, control)| is_looked_for(*control) && text.starts_with(token));
        found.map(|(token, id, _)| (token.as_str(), *id))
    }

    // True if the next text directly follows a token that was cut out.
    fn words(
        &self,
        text: &str,
        after_special: bool,
        n_window_bytes: usize,
        output: &mut Vec<u32>,
    ) -> Result<bool, FamilyError> {
        if text.is_empty() {
            return Ok(after_special);
        }
        let mut prefix = if self.space_prefix && after_special { "▁" } else { "" };
        let mut rest = text;
        while self.may_cut && rest.len() > n_window_bytes {
            let Some(at) = space_cut(rest, n_window_bytes) else { break };
            self.merge(prefix, &rest[..at], output)?;
            (prefix, rest) = ("", &rest[at..]);
        }
        self.merge(prefix, rest, output)?;
        Ok(false)
    }

    fn merge(&self, prefix: &str, text: &str, output: &mut Vec<u32>) -> Result<(), FamilyError> {
        if text.len() > MAX_WHOLE_BYTES {
            return Err(uncuttable(text));
        }
        Merging::new(self, format!("{prefix}{}", text.replace(' ', "▁"))).run(output);
        Ok(())
    }
}

/// One text while its characters are joined.
struct Merging<'a> {
    encoder: &'a PieceEncoder,
    text: String,
    symbols: Vec<Symbol>,
    queue: BinaryHeap<Pair>,
}

impl<'a> Merging<'a> {
    fn new(encoder: &'a PieceEncoder, text: String) -> Self {
        let n_symbols = text.chars().count();
        let symbols: Vec<Symbol> = text
            .char_indices()
            .enumerate()
            .map(|(index, (start, letter))| Symbol {
                start,
                end: start + letter.len_utf8(),
                previous: index.checked_sub(1),
                next: (index + 1 < n_symbols).then_some(index + 1),
            })
            .collect();
        Self { encoder, text, symbols, queue: BinaryHeap::new() }
    }

    fn run(mut self, output: &mut Vec<u32>) {
        for right in 1..self.symbols.len() {
            self.consider(Some(right - 1), Some(right));
        }
        while let Some(pair) = self.queue.pop() {
            let (left, right) = (self.symbols[pair.left], self.symbols[pair.right]);
            // One of them has been joined with another since the pair was queued.
            let is_stale = left.start == left.end
                || right.start == right.end
                || right.end - left.start != pair.n_bytes
                || left.end != right.start;
            if is_stale {
                continue;
            }
            self.symbols[pair.left].end = right.end;
            self.symbols[pair.right].start = right.end;
            self.symbols[pair.left].next = right.next;
            if let Some(next) = right.next {
                self.symbols[next].previous = Some(pair.left);
            }
            self.consider(left.previous, Some(pair.left));
            self.consider(Some(pair.left), right.next);
        }
        let mut next = (!self.symbols.is_empty()).then_some(0);
        while let Some(index) = next {
            let symbol = self.symbols[index];
            let text = &self.text[symbol.start..symbol.end];
            match self.encoder.ids.get(text) {
                Some(id) => output.push(*id),
                None => output.extend(text.bytes().map(|byte| self.encoder.bytes[usize::from(byte)])),
            }
            next = symbol.next;
        }
    }

    fn consider(&mut self, left: Option<usize>, right: Option<usize>) {
        let (Some(left), Some(right)) = (left, right) else { return };
        let text = &self.text[self.symbols[left].start..self.symbols[right].end];
        if let Some(id) = self.encoder.ids.get(text) {
            let score = self.encoder.scores.get(*id as usize).copied().unwrap_or(0.0);
            self.queue.push(Pair { score, left, right, n_bytes: text.len() });
        }
    }
}

impl Ord for Pair {
    fn cmp(&self, other: &Self) -> Ordering {
        self.score.total_cmp(&other.score).then_with(|| other.left.cmp(&self.left))
    }
}

impl PartialOrd for Pair {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Pair {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Pair {}
