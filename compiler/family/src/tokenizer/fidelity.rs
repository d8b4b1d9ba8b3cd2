//! Compares three tokenizers: ours on a checkpoint's files, the `tokenizers` library on `tokenizer.json`, and
//! the vocabulary of an exported container.
//!
//! A container has no normalizer. If the checkpoint first converts text to Unicode's composed form (NFC),
//! texts are compared in that form.

use std::fmt::Write as _;

use mc_decoder::vocabulary::Vocabulary;
use tokenizers::NormalizedString;

use crate::error::FamilyError;
use crate::tokenizer::Tokenizer;
use crate::tokenizer::parse_special::ParseSpecial;
use crate::tokenizer::tokenizer_json::TokenizerJson;
use crate::tokenizer_files::TokenizerFiles;

/// Number of tokens that a difference shows on each side.
const N_SHOWN: usize = 8;

/// Texts on which tokenizers are known to differ.
const HARD: &[&str] = &[
    " ",
    "  leading and trailing  ",
    "a  b   c    d     e                f",
    "\t\ttabs\tand\n\n\nlines\r\n \r\n\n \n",
    "I'm, you're, WE'LL, they'd, it's; don't 'quote' ''twice''",
    "0 12 345 6789 12345678901234567890 3.14 1,000,000 ½ ² ٣ 四",
    "camelCase snake_case SHOUTING MixedCASE x=y+1; fn main() { println!(\"{}\", 0x1F); }",
    "https://example.org/a?b=c&d=%20#e user@example.org",
    "Grüße, naïve café, e\u{301}le\u{300}ve, A\u{30a}ngstro\u{308}m",
    "日本語の文章、中文句子。한국어 문장 ไทย",
    "हिन्दी में लिखा हुआ, كتابة عربية, עברית, Ελληνικά, Русский",
    "🦙 👩‍👩‍👧‍👦 🏳️‍🌈 👍🏽 ❤️ 🇩🇪",
    "zero\u{200b}width\u{200d}joiners\u{feff} and\u{a0}hard\u{2003}spaces\u{3000}here",
    "\u{1}\u{7f}\u{80}\u{fffd}\u{10ffff} control",
    "... !!! ??? --- ___ === *** ~~~ ((([[[{{{",
    "<0x0A> <s> </s> <unk> <|im_start|> <|eot_id|> [INST] ▁under▁lines Ġbytes",
];

/// Name of the container's vocabulary in a difference.
pub const CONTAINER: &str = "the container";

/// The three tokenizers.
pub struct Fidelity {
    checkpoint: Tokenizer,
    library: Option<tokenizers::Tokenizer>,
    container: Tokenizer,
    is_composing: bool,
    tokens: Vec<String>,
    /// Texts around the control and added tokens of this vocabulary.
    with_tokens: Vec<String>,
}

/// A text that two of the tokenizers split differently.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The text.
    pub text: String,
    /// Number of bytes that both split alike.
    pub n_equal_bytes: usize,
    /// The names of both sides, each with its ids and pieces from there on.
    pub sides: [(String, String); 2],
}

impl Fidelity {
    /// Reads the files of a checkpoint and the vocabulary of a container.
    ///
    /// # Errors
    /// Fails if one of them is not a tokenizer.
    pub fn new(
        files: &TokenizerFiles<'_>,
        n_vocab: u32,
        family: &str,
        container: &Vocabulary,
    ) -> Result<Self, FamilyError> {
        let json = files.tokenizer.map(TokenizerJson::from_bytes).transpose()?;
        let library = files.tokenizer.map(|bytes| {
            tokenizers::Tokenizer::from_bytes(bytes).map_err(|error| {
                FamilyError::Tokenizer(format!("The `tokenizers` library refuses `tokenizer.json`: {error}"))
            })
        });
        let library = library.transpose()?.map(|mut library| {
            // These settings of the trainer would truncate or pad the encoded text.
            library.with_padding(None);
            library.with_truncation(None).map(drop).map(|()| library)
        });
        let library = library.transpose().map_err(|error| FamilyError::Tokenizer(error.to_string()))?;
        let added = json.iter().flat_map(|json| &json.added_tokens).map(|token| token.content.as_str());
        let with_tokens = added.map(|token| format!("before{token}after {token}{token}")).collect();
        Ok(Self {
            checkpoint: Tokenizer::from_files(files, n_vocab, family)?,
            library,
            container: Tokenizer::from_vocabulary(container)?,
            is_composing: json.as_ref().is_some_and(TokenizerJson::is_composing),
            tokens: container.tokens.clone(),
            with_tokens,
        })
    }

    /// Returns the texts that are compared besides those of a dataset: hard ones, and each added token within
    /// a text.
    pub fn hard_texts(&self) -> impl Iterator<Item = &str> {
        HARD.iter().copied().chain(self.with_tokens.iter().map(String::as_str))
    }

    /// Returns the first difference between the tokenizers on a text, if there is one.
    ///
    /// # Errors
    /// Fails if one of them fails on the text.
    pub fn difference(&self, text: &str) -> Result<Option<Difference>, FamilyError> {
        let composed = self.composed(text);
        for special in [ParseSpecial::Yes, ParseSpecial::No] {
            let ours = self.checkpoint.encode(&composed, special)?;
            if let (Some(library), ParseSpecial::Yes) = (&self.library, special) {
                let encoding = library.encode_fast(composed.as_str(), false).map_err(|error| {
                    FamilyError::Tokenizer(format!("The `tokenizers` library fails: {error}"))
                })?;
                if encoding.get_ids() != ours {
                    let sides = [("`mc`", ours.as_slice()), ("the library", encoding.get_ids())];
                    return Ok(Some(self.reported(composed, sides)));
                }
            }
            let container = self.container.encode(&composed, special)?;
            if container != ours {
                let sides = [("the checkpoint", ours.as_slice()), (CONTAINER, container.as_slice())];
                return Ok(Some(self.reported(composed, sides)));
            }
        }
        Ok(None)
    }

    fn composed(&self, text: &str) -> String {
        if !self.is_composing {
            return text.to_owned();
        }
        let mut normalized = NormalizedString::from(text);
        normalized.nfc();
        normalized.get().to_owned()
    }

    fn reported(&self, text: String, sides: [(&str, &[u32]); 2]) -> Difference {
        let [(_, left), (_, right)] = sides;
        let n_equal = left.iter().zip(right).take_while(|(left, right)| left == right).count();
        let n_equal_bytes = self.n_bytes(&text, &left[..n_equal]);
        let sides = sides.map(|(side, ids)| (side.to_owned(), self.shown(&ids[n_equal..])));
        Difference { text, n_equal_bytes, sides }
    }

    // Returns the number of bytes of `text` that `ids` represent; a space added before a text does not count.
    fn n_bytes(&self, text: &str, ids: &[u32]) -> usize {
        let mut rest = text.as_bytes();
        for id in ids {
            let mut piece = self.checkpoint.piece_bytes(*id);
            if piece.is_empty() {
                // Control tokens are not shown, but they occur in the text.
                piece =
                    self.tokens.get(*id as usize).map(|token| token.clone().into_bytes()).unwrap_or_default();
            }
            let own = match piece.strip_prefix(b" ") {
                Some(own) if !rest.starts_with(&piece) => own,
                _ => piece.as_slice(),
            };
            rest = rest.get(own.len()..).unwrap_or_default();
        }
        text.len() - rest.len()
    }

    // Formats `264 "Ġa", 65 "b" …`
    fn shown(&self, ids: &[u32]) -> String {
        let piece = |id: &u32| {
            let token = self.tokens.get(*id as usize).map_or("", String::as_str);
            format!("{id} {token:?}")
        };
        let mut shown = ids.iter().take(N_SHOWN).map(piece).collect::<Vec<_>>().join(", ");
        if ids.is_empty() {
            shown.push_str("nothing");
        }
        if ids.len() > N_SHOWN {
            write!(shown, " and {} more", ids.len() - N_SHOWN).expect("a text takes any text");
        }
        shown
    }
}
