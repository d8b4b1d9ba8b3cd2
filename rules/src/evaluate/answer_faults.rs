//! Faults of generated answers: no text, an endless loop, tokens that no text has, repeated sequences.

use mc_decoder::vocabulary::{TokenType, Vocabulary};
use mc_runtime::estimate::Share;
use mc_runtime::repetition::{loop_len, repeated};
use serde::{Deserialize, Serialize};

/// Version of the definitions, for action digests: raised when a number may change.
pub(crate) const VERSION: u32 = 1;

/// Maximum number of characters of a prompt in an example.
const MAX_PROMPT: usize = 60;

/// Maximum number of characters of an answer in an example.
const MAX_ANSWER: usize = 160;

/// The faults of all answers of one model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct AnswerFaults {
    /// Number of answers.
    pub(crate) n_answers: usize,
    /// Number of tokens in the answers.
    pub(crate) n_tokens: usize,
    /// Answers without text.
    pub(crate) empty: Fault,
    /// Answers that end in a loop.
    pub(crate) loops: Fault,
    /// Tokens that no text has: padding, unknown and unused ones.
    pub(crate) unused: Fault,
    /// Sequences of tokens that occurred before in the same answer.
    pub(crate) repetition: Fault,
}

/// One kind of fault.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Fault {
    /// Number of faulty answers, tokens or sequences.
    pub(crate) n_faulty: usize,
    /// Number of all of them.
    pub(crate) n: usize,
    /// The worst answer.
    pub(crate) example: Option<String>,
}

impl Fault {
    /// Returns the share of faulty ones; none of one if there are none at all.
    pub(crate) fn share(&self) -> Share {
        Share { n_counted: self.n_faulty, n: self.n.max(1) }
    }
}

/// Counts the faults of answers, and remembers the worst of each kind.
pub(crate) struct FaultCounter<'a> {
    vocabulary: &'a Vocabulary,
    faults: AnswerFaults,
    /// The badness of each example.
    worst: [usize; 4],
}

impl<'a> FaultCounter<'a> {
    /// Creates a counter without answers.
    pub(crate) fn new(vocabulary: &'a Vocabulary) -> Self {
        let faults = AnswerFaults {
            n_answers: 0,
            n_tokens: 0,
            empty: Fault::default(),
            loops: Fault::default(),
            unused: Fault::default(),
            repetition: Fault::default(),
        };
        Self { vocabulary, faults, worst: [0; 4] }
    }

    /// Counts the faults of an answer.
    ///
    /// * `prompt`: its prompt, for examples
    /// * `tokens`, `text`: the answer, without the token that ends it
    pub(crate) fn add(&mut self, prompt: &str, tokens: &[u32], text: &str) {
        let is_unused = |token: &&u32| is_unused(self.vocabulary, **token);
        let n_unused = tokens.iter().filter(is_unused).count();
        let (n_repeated, n_sequences) = repeated(tokens);
        let n_empty = usize::from(text.trim().is_empty());
        let n_looping = loop_len(tokens);
        let AnswerFaults { n_answers, n_tokens, empty, loops, unused, repetition } = &mut self.faults;
        *n_answers += 1;
        *n_tokens += tokens.len();
        // Faulty ones, all of them, and how bad this answer is.
        let found = [
            (empty, n_empty, 1, n_empty),
            (loops, usize::from(n_looping > 0), 1, n_looping),
            (unused, n_unused, tokens.len(), n_unused),
            (repetition, n_repeated, n_sequences, n_repeated),
        ];
        for ((fault, n_faulty, n, badness), worst) in found.into_iter().zip(&mut self.worst) {
            fault.n_faulty += n_faulty;
            fault.n += n;
            if badness > *worst {
                *worst = badness;
                fault.example = Some(example(*n_answers, prompt, text));
            }
        }
    }

    /// Returns the faults of all answers.
    pub(crate) fn finish(self) -> AnswerFaults {
        self.faults
    }
}

/// Returns true if no text has the token: it is padding, unknown, or a row of the embedding without a meaning.
fn is_unused(vocabulary: &Vocabulary, token: u32) -> bool {
    if vocabulary.special.pad == Some(token) || vocabulary.special.unknown == Some(token) {
        return true;
    }
    match vocabulary.types.get(token as usize) {
        Some(TokenType::Unused | TokenType::Unknown) | None => true,
        Some(TokenType::Normal | TokenType::Control | TokenType::UserDefined | TokenType::Byte) => false,
    }
}

/// An answer, shortened. The end of a long answer shows what went wrong, so the middle is left out.
fn example(number: usize, prompt: &str, answer: &str) -> String {
    format!("item {number}, {:?}: {:?}", shortened(prompt, MAX_PROMPT), shortened(answer, MAX_ANSWER))
}

fn shortened(text: &str, max: usize) -> String {
    let n_chars = text.chars().count();
    if n_chars <= max {
        return text.to_owned();
    }
    let half = (max - 1) / 2;
    let start: String = text.chars().take(half).collect();
    let end: String = text.chars().skip(n_chars - half).collect();
    format!("{start}…{end}")
}

#[cfg(test)]
mod tests {
    use mc_family::tokenizer::vocabulary::vocabulary;
    use mc_family::tokenizer_files::TokenizerFiles;

    use super::*;

    const TOKENIZER: &[u8] = include_bytes!("../../../compiler/family/tests/data/tokenizer.json");

    #[test]
    fn each_fault_is_counted_and_its_worst_answer_remembered() {
        let files = TokenizerFiles { config: b"{}", tokenizer: Some(TOKENIZER), ..TokenizerFiles::default() };
        let vocabulary = vocabulary(&files, 4100, "llama").unwrap();
        // The last rows of the embedding have no token.
        assert!(is_unused(&vocabulary, 4099) && is_unused(&vocabulary, 5000) && !is_unused(&vocabulary, 7));
        let mut counter = FaultCounter::new(&vocabulary);
        counter.add("a", &[1, 2, 3, 4, 5], "fine");
        counter.add("b", &[], " \n");
        counter.add("c", &[7; 30], "there there there");
        counter.add("d", &[7; 40], "again and again");
        counter.add("e", &[1, 4099, 4098], "x<pad>");
        let faults = counter.finish();
        assert_eq!((faults.n_answers, faults.n_tokens), (5, 78));
        let counts = |fault: &Fault| (fault.n_faulty, fault.n);
        assert_eq!(counts(&faults.empty), (1, 5));
        assert_eq!(counts(&faults.loops), (2, 5));
        assert_eq!(counts(&faults.unused), (2, 78));
        assert_eq!(counts(&faults.repetition), (26 + 36, 2 + 27 + 37));
        assert_eq!(faults.empty.example.as_deref(), Some("item 2, \"b\": \" \\n\""));
        assert_eq!(faults.loops.example.as_deref(), Some("item 4, \"d\": \"again and again\""));
        assert_eq!(faults.unused.example.as_deref(), Some("item 5, \"e\": \"x<pad>\""));
    }

    #[test]
    fn long_answers_are_shortened_in_the_middle() {
        let text: String = (0..200).map(|n| char::from(b'a' + (n % 26) as u8)).collect();
        let short = shortened(&text, 21);
        assert_eq!(short, "abcdefghij…ijklmnopqr");
        assert_eq!(shortened("é€", 2), "é€");
    }
}
