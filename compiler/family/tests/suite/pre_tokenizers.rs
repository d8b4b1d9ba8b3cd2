//! Pre-tokenizers: the name that an expression gets, by what it is and whose model it is.

use mc_family::tokenizer::recognition::{named, recognize};
use serde_json::{Value, json};

const LLAMA3: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const O200K: &str = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";

fn name(steps: Value, ignore_merges: bool, architecture: &str) -> &'static str {
    let description = json!({"type": "Sequence", "pretokenizers": steps});
    recognize(&description, ignore_merges, architecture).unwrap().name
}

fn split(expression: &str) -> Value {
    json!({"type": "Split", "pattern": {"Regex": expression}, "behavior": "Isolated", "invert": false})
}

fn bytes(use_regex: bool) -> Value {
    json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": use_regex})
}

#[test]
fn an_expression_of_many_names_gets_the_familys() {
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
fn keeping_matches_is_the_same_as_removing_what_lies_between() {
    let kept = json!({"type": "Split", "pattern": {"Regex": O200K}, "behavior": "Removed", "invert": true});
    assert_eq!(name(json!([kept, bytes(false)]), false, "phi3"), "gpt-4o");
    assert_eq!(name(json!([split(O200K), bytes(false)]), false, "llama4"), "llama4");
}

#[test]
fn every_name_that_is_given_can_be_read_and_compiles() {
    let refused = named("").unwrap_err().to_string();
    let names: Vec<&str> = refused.split('`').skip(3).step_by(2).collect();
    assert!(names.len() > 25, "{names:?}");
    for name in names {
        named(name).unwrap().step().unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}
