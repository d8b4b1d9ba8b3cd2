//! Tokenizers: decoding restores texts, and a checkpoint and its container give the same ids.

use std::sync::LazyLock;

use expect_test::expect;
use mc_decoder::pre_tokenizer::{Cut, GPT2, PreTokenizer};
use mc_decoder::vocabulary::{SpecialTokens, TokenType, Vocabulary, VocabularyKind};
use mc_family::tokenizer::Tokenizer;
use mc_family::tokenizer::fidelity::Fidelity;
use mc_family::tokenizer::parse_special::ParseSpecial;
use mc_family::tokenizer::vocabulary::vocabulary;
use mc_family::tokenizer_files::TokenizerFiles;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::vocabulary as toy;

static FROM_JSON: LazyLock<Tokenizer> =
    LazyLock::new(|| Tokenizer::from_json(toy::TOKENIZER.as_bytes()).unwrap());
static FROM_VOCABULARY: LazyLock<Tokenizer> =
    LazyLock::new(|| Tokenizer::from_vocabulary(&toy::base()).unwrap());

fn both() -> [&'static Tokenizer; 2] {
    [&FROM_JSON, &FROM_VOCABULARY]
}

fn of(tokens: &[(&str, TokenType)], merges: &[&str], cut: Cut) -> Vocabulary {
    Vocabulary {
        kind: VocabularyKind::BytePair,
        pre_tokenizer: PreTokenizer { name: None, cut },
        tokens: tokens.iter().map(|(token, _)| (*token).to_owned()).collect(),
        scores: Vec::new(),
        types: tokens.iter().map(|(_, kind)| *kind).collect(),
        merges: merges.iter().map(|merge| (*merge).to_owned()).collect(),
        special: SpecialTokens::default(),
        space_prefix: None,
        chat_template: None,
        named_templates: Vec::new(),
    }
}

/// Returns the expressions of GPT-2.
fn gpt2() -> Cut {
    Cut::Expressions { expressions: vec![GPT2.to_owned()], ignore_merges: false }
}

fn refused(vocabulary: &Vocabulary) -> String {
    format!("{}\n", Tokenizer::from_vocabulary(vocabulary).err().unwrap())
}

#[test]
fn control_tokens_are_recognized_only_on_request() {
    for tokenizer in both() {
        let text = "<|start_header_id|>user<|end_header_id|>\n\nHi<|eot_id|>";
        let ids = tokenizer.encode(text, ParseSpecial::Yes).unwrap();
        assert_eq!((ids[0], *ids.last().unwrap()), (4093, 4095));
        assert_eq!(tokenizer.decode(&ids).unwrap(), "user\n\nHi");
        let plain = tokenizer.encode(text, ParseSpecial::No).unwrap();
        assert!(plain.iter().all(|id| *id < 4091));
        assert_eq!(tokenizer.decode(&plain).unwrap(), text);
    }
}

#[test]
fn nothing_is_added_around_a_text() {
    for tokenizer in both() {
        assert_eq!(tokenizer.encode("", ParseSpecial::Yes).unwrap(), Vec::<u32>::new());
        assert!(!tokenizer.encode("a", ParseSpecial::Yes).unwrap().contains(&4091));
    }
}

#[test]
fn pieces_are_bytes_that_join_to_the_text() {
    let text = "Grüße, 日本語 🦀";
    for tokenizer in both() {
        let ids = tokenizer.encode(text, ParseSpecial::No).unwrap();
        let bytes: Vec<u8> = ids.iter().flat_map(|id| tokenizer.piece_bytes(*id)).collect();
        assert_eq!(bytes, text.as_bytes());
        assert_eq!(tokenizer.piece_bytes(4095), Vec::<u8>::new());
        assert_eq!(tokenizer.piece_bytes(9999), Vec::<u8>::new());
    }
}

#[test]
fn an_id_outside_the_vocabulary_is_reported() {
    let error = FROM_JSON.decode(&[4096]).unwrap_err();
    expect![[r#"
        Token 4096 is not in the vocabulary, which has 4096 tokens
    "#]]
    .assert_eq(&format!("{error}\n"));
}

#[test]
fn added_tokens_may_stand_anywhere() {
    use TokenType::{Control, Normal, Unused, UserDefined};
    let tokens = [
        ("<s>", Control),
        ("a", Normal),
        ("[PAD2]", Unused),
        ("<tool>", UserDefined),
        ("b", Normal),
        ("ab", Normal),
        ("aba", UserDefined),
        ("</s>", Control),
    ];
    let tokenizer = Tokenizer::from_vocabulary(&of(&tokens, &["a b", "ab a"], gpt2())).unwrap();
    let ids = tokenizer.encode("<s>ab<tool>aab</s>", ParseSpecial::Yes).unwrap();
    assert_eq!(ids, [0, 5, 3, 1, 5, 7]);
    assert_eq!(tokenizer.decode(&ids).unwrap(), "ab<tool>aab");
    assert_eq!(tokenizer.encode("bab<tool>aba", ParseSpecial::No).unwrap(), [4, 5, 3, 6]);
}

#[test]
fn a_vocabulary_that_cannot_be_used_is_reported() {
    use TokenType::{Control, Normal};
    expect![[r#"
        Pre-tokenizer `punched` is not known
    "#]]
    .assert_eq(&refused(&of(
        &[("a", Normal)],
        &[],
        Cut::Unknown("Pre-tokenizer `punched` is not known".to_owned()),
    )));
    expect![[r#"
        Merge `ab` is not two pieces
    "#]]
    .assert_eq(&refused(&of(&[("a", Normal)], &["ab"], gpt2())));
    expect![[r#"
        Merge `a b` needs token `ab`, which the vocabulary does not have
    "#]]
    .assert_eq(&refused(&of(&[("a", Normal), ("b", Normal)], &["a b"], gpt2())));
    expect![[r#"
        The vocabulary has two tokens of the same text `a`
    "#]]
    .assert_eq(&refused(&of(&[("a", Normal), ("a", Normal)], &[], gpt2())));
    expect![[r#"
        The vocabulary has two tokens of the same text `a`
    "#]]
    .assert_eq(&refused(&of(&[("a", Normal), ("a", Control)], &[], gpt2())));
}

#[test]
fn added_ids_may_leave_holes() {
    let json = toy::TOKENIZER.replace("\"id\": 4095", "\"id\": 5000").replace("\"id\":4095", "\"id\":5000");
    let tokenizer = Tokenizer::from_json(json.as_bytes()).unwrap();
    assert_eq!(tokenizer.encode("<|eot_id|>", ParseSpecial::Yes).unwrap(), [5000]);
    let json = json.replace("5000", "4000000000");
    let error = Tokenizer::from_json(json.as_bytes()).err().unwrap();
    expect![[r#"
        `tokenizer.json` has 4096 tokens, but ids up to 4000000000
    "#]]
    .assert_eq(&format!("{error}\n"));
}

#[test]
fn a_fine_tuned_tokenizer_keeps_its_ids() {
    // One merge less, one more added token, and a control token with another name.
    let mut json: Value = serde_json::from_str(toy::TOKENIZER).unwrap();
    json["model"]["merges"].as_array_mut().unwrap().remove(0);
    let added = json["added_tokens"].as_array_mut().unwrap();
    added[1]["content"] = json!("<|tool_call|>");
    let mut own = added[2].clone();
    (own["id"], own["content"], own["special"]) = (json!(4096), json!("<scratch pad>"), json!(false));
    added.push(own);
    let text = json.to_string();
    let files =
        TokenizerFiles { config: b"{}", tokenizer: Some(text.as_bytes()), ..TokenizerFiles::default() };
    let container = vocabulary(&files, 4100, "llama").unwrap();
    assert_eq!(
        (container.tokens[4096].as_str(), container.types[4096]),
        ("<scratch pad>", TokenType::UserDefined)
    );
    let fidelity = Fidelity::new(&files, 4100, "llama", &container).unwrap();
    for text in fidelity.hard_texts() {
        assert_eq!(fidelity.difference(text).unwrap(), None, "{text:?}");
    }
    let base = Tokenizer::from_json(toy::TOKENIZER.as_bytes()).unwrap();
    let tuned = Tokenizer::from_vocabulary(&container).unwrap();
    let text = "then he <scratch pad> went there<|tool_call|>";
    let ids = tuned.encode(text, ParseSpecial::No).unwrap();
    assert_ne!(ids, base.encode(text, ParseSpecial::No).unwrap());
    assert_eq!(tuned.decode(&ids).unwrap(), text);
}

#[test]
fn a_tampered_merge_is_reported_by_the_text_that_it_changes() {
    let files = TokenizerFiles {
        config: b"{}",
        tokenizer: Some(toy::TOKENIZER.as_bytes()),
        ..TokenizerFiles::default()
    };
    let mut container = toy::base();
    assert_eq!(container.merges.remove(0), "h e");
    let fidelity = Fidelity::new(&files, 4096, "llama", &container).unwrap();
    assert_eq!(fidelity.difference("A boat at sea").unwrap(), None);
    let difference = fidelity.difference("A boat hexagon").unwrap().unwrap();
    assert_eq!(difference.text, "A boat hexagon");
    assert_eq!(&difference.text[..difference.n_equal_bytes], "A boat");
    assert_eq!(difference.sides[0].0, "the checkpoint");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn decoding_restores_any_text(text in "\\PC{0,40}|[ \\t\\r\\n]{0,12}|(\\PC|\\s){0,40}") {
        for tokenizer in both() {
            let ids = tokenizer.encode(&text, ParseSpecial::No).unwrap();
            prop_assert_eq!(tokenizer.decode(&ids).unwrap(), text.clone());
        }
    }

    #[test]
    fn a_checkpoint_and_its_container_give_the_same_ids(
        text in "([a-zA-Z' ]{0,12}|[0-9]{0,6}|\\PC{0,6}|\\s{0,4}|<\\|eot_id\\|>|<\\|begin_of_text\\|>){0,8}"
    ) {
        for special in [ParseSpecial::Yes, ParseSpecial::No] {
            let [json, vocabulary] = both().map(|tokenizer| tokenizer.encode(&text, special).unwrap());
            prop_assert_eq!(json, vocabulary);
        }
    }
}
