//! Pre-tokenizers: the name of an expression in a file depends on the expression and the family.

use mc_decoder::pre_tokenizer::Cut;
use mc_decoder::vocabulary::Vocabulary;
use mc_family::tokenizer::Tokenizer;
use mc_family::tokenizer::parse_special::ParseSpecial;
use mc_family::tokenizer::pre_tokenizer::step;
use mc_family::tokenizer::recognition::recognize;
use mc_family::tokenizer::vocabulary::vocabulary;
use mc_family::tokenizer_files::TokenizerFiles;
use mc_gguf::pre_tokenizers::{name_of, named, names};
use proptest::prelude::*;
use serde_json::{Value, json};

const TOKENIZER: &[u8] = include_bytes!("../../compiler/family/tests/data/tokenizer.json");

const LLAMA3: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const O200K: &str = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";

fn name(steps: Value, ignore_merges: bool, architecture: &str) -> String {
    let description = json!({"type": "Sequence", "pretokenizers": steps});
    name_of(&recognize(&description, ignore_merges), architecture).unwrap()
}

fn refused(description: &Value) -> String {
    name_of(&recognize(description, false), "llama").unwrap_err().message
}

fn split(expression: &str) -> Value {
    json!({"type": "Split", "pattern": {"Regex": expression}, "behavior": "Isolated", "invert": false})
}

fn bytes(use_regex: bool) -> Value {
    json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": use_regex})
}

#[test]
fn an_expression_with_many_names_gets_that_of_the_family() {
    let llama3 = || json!([split(LLAMA3), bytes(false)]);
    assert_eq!(name(llama3(), true, "llama"), "llama-bpe");
    assert_eq!(name(llama3(), true, "smollm3"), "llama-bpe");
    assert_eq!(name(llama3(), true, "lfm2"), "lfm2");
    assert_eq!(name(llama3(), false, "olmo2"), "dbrx");
    assert_eq!(name(llama3(), false, "phi3"), "dbrx");
}

#[test]
fn digits_before_words_are_a_step_or_an_expression() {
    let digits = json!({"type": "Digits", "individual_digits": true});
    assert_eq!(name(json!([digits, bytes(true)]), false, "llama"), "smollm");
    assert_eq!(name(json!([digits, bytes(true)]), false, "granite"), "refact");
    assert_eq!(name(json!([split(r"\p{N}"), bytes(true)]), false, "starcoder2"), "starcoder");
    assert_eq!(name(json!([bytes(true)]), false, "lfm2"), "gpt-2");
}

#[test]
fn keeping_matches_equals_removing_the_text_between() {
    let kept = json!({"type": "Split", "pattern": {"Regex": O200K}, "behavior": "Removed", "invert": true});
    assert_eq!(name(json!([kept, bytes(false)]), false, "phi3"), "gpt-4o");
    assert_eq!(name(json!([split(O200K), bytes(false)]), false, "llama4"), "llama4");
}

#[test]
fn every_assigned_name_is_read_and_compiles() {
    assert!(names().count() > 25);
    for name in names() {
        let Cut::Expressions { expressions, .. } = named(name).cut else { panic!("{name}") };
        step(&expressions).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}

const KNOWN: &str = "`lfm2`, `llama-bpe`, `dbrx`, `qwen2`, `stablelm2`, `qwen35`, `gpt-2`, `olmo`, `mpt`, `phi-2`, `jais`, `exaone4`, `modern-bert`, `roberta-bpe`, `smollm`, `refact`, `starcoder`, `command-r`, `codeshell`, `exaone`, `tekken`, `gpt-4o`, `llama4`, `deepseek-v3`, `hunyuan-dense`, `bailingmoe`, `bailingmoe2`, `llada-moe`, `seed-coder`, `bloom`, `viking`";

#[test]
fn a_pre_tokenizer_without_a_name_is_shown() {
    let row = "to add one, add a row to `formats/gguf/src/pre_tokenizers.rs`";
    let split = json!({"type": "Sequence", "pretokenizers": [split("\\p{L}+|\\d"), bytes(false)]});
    for (description, shown) in [
        (split, r"`\p{L}+|\d`"),
        (json!({"type": "Whitespace"}), r#"`{"type":"Whitespace"}`"#),
        (json!(null), "`null`"),
    ] {
        assert_eq!(
            refused(&description),
            format!(
                "The pre-tokenizer of `tokenizer.json` is not known: {shown}. Expected one of {KNOWN}; {row}"
            )
        );
    }
}

#[test]
fn an_unknown_name_is_kept_and_cannot_run() {
    let pre_tokenizer = named("punched");
    assert_eq!(name_of(&pre_tokenizer, "llama").unwrap(), "punched");
    let error = Tokenizer::from_vocabulary(&Vocabulary { pre_tokenizer, ..base() }).err().unwrap();
    assert_eq!(error.to_string(), format!("Pre-tokenizer `punched` is not known; expected {KNOWN}"));
}

fn base() -> Vocabulary {
    let files = TokenizerFiles { config: b"{}", tokenizer: Some(TOKENIZER), ..TokenizerFiles::default() };
    vocabulary(&files, 4096, "llama").unwrap()
}

#[test]
fn a_checkpoint_gets_the_name_of_its_expression() {
    assert_eq!(name_of(&base().pre_tokenizer, "llama").unwrap(), "llama-bpe");
}

/// Runs of spaces and lines, contractions, digits, marks, other scripts and texts of tokens.
const TEXT: &str = "(the |The|I'LL |it's|a| |  |   |\\t|\\n|\\n\\n|\\r\\n| \\n |1|23|4567|[.,!?/']{1,4}|é|e\u{301}|ß|İ|日本語|ー|́|🦙|\u{a0}|\u{2028}|Ω|<s>|<\\|eot_id\\|>|<tool>|\\PC){200,700}";

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4))]

    #[test]
    fn no_window_changes_an_id_with_any_pre_tokenizer(text in TEXT) {
        for name in names() {
            let vocabulary = Vocabulary { pre_tokenizer: named(name), ..base() };
            let tokenizer = Tokenizer::from_vocabulary(&vocabulary).unwrap();
            for special in [ParseSpecial::No, ParseSpecial::Yes] {
                let whole = tokenizer.encode_in_windows(&text, special, usize::MAX).unwrap();
                for n_bytes in [200, 333, 1000] {
                    let cut = tokenizer.encode_in_windows(&text, special, n_bytes).unwrap();
                    prop_assert!(cut == whole, "{name}: windows of {n_bytes} bytes: {text:?}");
                }
            }
        }
    }
}
