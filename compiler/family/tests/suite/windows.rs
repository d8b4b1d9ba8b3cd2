//! Encoding long texts in windows changes no id.

use mc_family::tokenizer::Tokenizer;
use mc_family::tokenizer::parse_special::ParseSpecial;
use mc_family::tokenizer::windows::MAX_WHOLE_BYTES;
use proptest::prelude::*;
use serde_json::json;

use crate::{pieces, vocabulary};

/// Texts of what tokenizers treat differently: runs of spaces and lines, contractions, digits, marks, other scripts,
/// characters that compose, and texts of tokens.
const TEXT: &str = "(the |The|I'LL |it's|a| |  |   |\\t|\\n|\\n\\n|\\r\\n| \\n |1|23|4567|[.,!?/']{1,4}|é|e\u{301}|ß|İ|日本語|ー|́|🦙|\u{a0}|\u{2028}|Ω|<s>|<\\|eot_id\\|>|<tool>|\\PC){200,700}";

/// Windows that hold a few words, and one that holds any text.
const SMALL: [usize; 3] = [200, 333, 1000];
const WHOLE: usize = usize::MAX;

fn check(tokenizer: &Tokenizer, text: &str) -> Result<(), TestCaseError> {
    for special in [ParseSpecial::No, ParseSpecial::Yes] {
        let whole = tokenizer.encode_in_windows(text, special, WHOLE).unwrap();
        for n_bytes in SMALL {
            let cut = tokenizer.encode_in_windows(text, special, n_bytes).unwrap();
            prop_assert!(cut == whole, "windows of {n_bytes} bytes: {text:?}");
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_window_changes_an_id_of_a_checkpoint(text in TEXT) {
        check(&Tokenizer::from_json(vocabulary::TOKENIZER.as_bytes()).unwrap(), &text)?;
        let mut composing: serde_json::Value = serde_json::from_str(vocabulary::TOKENIZER).unwrap();
        composing["normalizer"] = json!({"type": "NFC"});
        check(&Tokenizer::from_json(composing.to_string().as_bytes()).unwrap(), &text)?;
    }

    #[test]
    fn no_window_changes_an_id_where_merges_run_over_spaces(text in TEXT) {
        check(&Tokenizer::from_vocabulary(&pieces::of_model()).unwrap(), &text)?;
        let converted = pieces::converted();
        check(&Tokenizer::from_json(converted.to_string().as_bytes()).unwrap(), &text)?;
        // Two spellings: that of Gemma, and that of newer conversions.
        let replace = json!({"type": "Replace", "pattern": {"String": " "}, "content": "▁"});
        let at_spaces =
            json!({"type": "Split", "pattern": {"String": " "}, "behavior": "MergedWithPrevious", "invert": false});
        let metaspace = |scheme: &str| json!({
            "type": "Metaspace", "replacement": "▁", "prepend_scheme": scheme, "split": false
        });
        for (normalizer, pre_tokenizer) in [
            (replace, at_spaces),
            (json!(null), metaspace("first")),
            (json!(null), metaspace("always")),
            (json!(null), metaspace("never")),
        ] {
            let mut other = converted.clone();
            other["normalizer"] = normalizer;
            other["pre_tokenizer"] = pre_tokenizer;
            check(&Tokenizer::from_json(other.to_string().as_bytes()).unwrap(), &text)?;
        }
    }
}

/// A text of this length is never encoded at once.
#[test]
fn a_long_text_is_cut() {
    let text = "The rain in the ring, it's 1234 things.\n".repeat(MAX_WHOLE_BYTES / 30);
    assert!(text.len() > MAX_WHOLE_BYTES);
    for tokenizer in [
        Tokenizer::from_json(vocabulary::TOKENIZER.as_bytes()).unwrap(),
        Tokenizer::from_vocabulary(&vocabulary::base()).unwrap(),
        Tokenizer::from_json(pieces::converted().to_string().as_bytes()).unwrap(),
        Tokenizer::from_vocabulary(&pieces::of_model()).unwrap(),
    ] {
        assert!(tokenizer.encode(&text, ParseSpecial::No).unwrap().len() > text.len() / 10);
    }
}

#[test]
fn a_long_text_without_a_place_to_cut_is_refused() {
    let text = "x".repeat(2 * MAX_WHOLE_BYTES);
    for tokenizer in [
        Tokenizer::from_json(vocabulary::TOKENIZER.as_bytes()).unwrap(),
        Tokenizer::from_vocabulary(&pieces::of_model()).unwrap(),
    ] {
        let error = tokenizer.encode(&text, ParseSpecial::No).unwrap_err().to_string();
        assert!(error.contains("has no place to cut it within 2097152 bytes"), "{error}");
    }
}
