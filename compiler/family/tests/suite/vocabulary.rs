//! Vocabularies: the content of a container, by the rules of the reference converter.

use expect_test::{Expect, expect};
use mc_decoder::pre_tokenizer::{Cut, GPT2, PreTokenizer};
use mc_decoder::vocabulary::{SpecialKey, SpecialTokens, TokenType, Vocabulary};
use mc_family::error::FamilyError;
use mc_family::tokenizer::vocabulary::vocabulary;
use mc_family::tokenizer_files::TokenizerFiles;
use serde_json::{Value, json};

pub(crate) const TOKENIZER: &str = include_str!("../data/tokenizer.json");
const N_VOCAB: u32 = 4096;

/// Returns the files of the example's base.
fn files() -> TokenizerFiles<'static> {
    TokenizerFiles {
        config: include_bytes!("../data/config.json"),
        tokenizer: Some(TOKENIZER.as_bytes()),
        tokenizer_config: Some(include_bytes!("../data/tokenizer_config.json")),
        special_tokens_map: Some(include_bytes!("../data/special_tokens_map.json")),
        generation_config: Some(include_bytes!("../data/generation_config.json")),
        ..TokenizerFiles::default()
    }
}

pub(crate) fn base() -> Vocabulary {
    vocabulary(&files(), N_VOCAB, "llama").unwrap()
}

/// Returns a tokenizer of few tokens; `changes` replaces keys.
fn small(changes: &Value) -> String {
    let token = |id: u32, content: &str, special: bool| {
        json!({
            "id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false,
            "normalized": false, "special": special
        })
    };
    let mut tokenizer = json!({
        "version": "1.0", "truncation": null, "padding": null,
        "added_tokens": [token(4, "<s>", true), token(5, "<tool>", false), token(6, "<|look|>", false)],
        "normalizer": null,
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true},
        "post_processor": null,
        "decoder": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true},
        "model": {
            "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
            "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false, "ignore_merges": false,
            "vocab": {"a": 0, "b": 1, "ab": 2, "Ġ": 3}, "merges": ["a b"]
        }
    });
    for (key, value) in changes.as_object().unwrap() {
        tokenizer[key] = value.clone();
    }
    tokenizer.to_string()
}

fn of(tokenizer: &str, config: &Value, tokenizer_config: &Value) -> Result<Vocabulary, FamilyError> {
    let (config, tokenizer_config) = (config.to_string(), tokenizer_config.to_string());
    let files = TokenizerFiles {
        config: config.as_bytes(),
        tokenizer: Some(tokenizer.as_bytes()),
        tokenizer_config: Some(tokenizer_config.as_bytes()),
        ..TokenizerFiles::default()
    };
    vocabulary(&files, 8, "llama")
}

fn special(tokenizer: &Value, config: &Value, tokenizer_config: &Value) -> SpecialTokens {
    of(&small(tokenizer), config, tokenizer_config).unwrap().special
}

fn check_refused(tokenizer: &str, expected: Expect) {
    expected.assert_eq(&format!("{}\n", of(tokenizer, &json!({}), &json!({})).unwrap_err()));
}

#[test]
fn the_base_keeps_its_tokens_merges_and_special_ids() {
    let vocabulary = base();
    assert!(
        matches!(&vocabulary.pre_tokenizer.cut, Cut::Expressions { expressions, ignore_merges: true } if expressions.len() == 1)
    );
    assert_eq!((vocabulary.tokens.len(), vocabulary.types.len()), (4096, 4096));
    assert_eq!(vocabulary.tokens[..3], ["!", "\"", "#"]);
    assert_eq!(vocabulary.merges[..3], ["h e", "Ġ t", "Ċ Ċ"]);
    assert_eq!(vocabulary.tokens[4095], "<|eot_id|>");
    assert!(vocabulary.types[..4091].iter().all(|kind| *kind == TokenType::Normal));
    assert!(vocabulary.types[4091..].iter().all(|kind| *kind == TokenType::Control));
    assert_eq!(
        vocabulary.special,
        SpecialTokens {
            bos: Some(4091),
            eos: Some(4095),
            stop: vec![4092, 4095],
            pad: None,
            unknown: None,
            add_bos: Some(true),
            add_eos: Some(false),
            add_sep: Some(false),
            order: vec![
                SpecialKey::Bos,
                SpecialKey::Eos,
                SpecialKey::AddBos,
                SpecialKey::AddEos,
                SpecialKey::AddSep
            ],
            ..SpecialTokens::default()
        }
    );
    assert!(vocabulary.chat_template.unwrap().contains("<|start_header_id|>"));
}

#[test]
fn added_tokens_and_holes_have_their_types() {
    let vocabulary = of(&small(&json!({})), &json!({}), &json!({})).unwrap();
    let gpt2 = Cut::Expressions { expressions: vec![GPT2.to_owned()], ignore_merges: false };
    assert_eq!(vocabulary.pre_tokenizer, PreTokenizer { name: None, cut: gpt2 });
    assert_eq!(vocabulary.tokens, ["a", "b", "ab", "Ġ", "<s>", "<tool>", "<|look|>", "[PAD7]"]);
    assert_eq!(
        vocabulary.types[3..],
        [
            TokenType::Normal,
            TokenType::Control,
            TokenType::UserDefined,
            TokenType::Control,
            TokenType::Unused,
        ]
    );
}

#[test]
fn merges_are_read_as_texts_and_as_pairs() {
    let merges = |merges: Value| {
        let model = json!({
            "type": "BPE", "vocab": {"a": 0, "b": 1, "Ġ": 2, "ab": 3, "Ġa": 7}, "merges": merges
        });
        of(&small(&json!({"model": model})), &json!({}), &json!({})).unwrap().merges
    };
    assert_eq!(merges(json!(["a b", "Ġ a"])), ["a b", "Ġ a"]);
    assert_eq!(merges(json!([["a", "b"], ["Ġ", "a"]])), ["a b", "Ġ a"]);
}

#[test]
fn special_ids_come_from_texts_before_numbers() {
    let named = json!({"bos_token": "<s>", "eos_token": {"content": "<|look|>"}, "pad_token": null});
    let numbered = json!({"bos_token_id": 0, "eos_token_id": [2, 1, 99, -1], "pad_token_id": 3});
    let both = special(&json!({}), &numbered, &named);
    assert_eq!((both.bos, both.eos, both.pad, both.stop), (Some(4), Some(6), Some(3), vec![1, 2, 6]));
    let numbers = special(&json!({}), &numbered, &json!({}));
    assert_eq!((numbers.bos, numbers.eos, numbers.unknown), (Some(0), Some(2), None));
}

#[test]
fn ids_texts_and_switches_of_another_type_are_refused() {
    for id in [json!(-2), json!("2"), json!(1.5), json!(1_u64 << 60), json!([1, "2"]), json!({}), json!(true)]
    {
        for name in ["bos", "eos", "unk", "sep", "pad", "mask"] {
            let key = format!("{name}_token_id");
            let config = json!({ key.as_str(): id });
            for config in [config.clone(), json!({ "text_config": config })] {
                let error = of(&small(&json!({})), &config, &json!({})).unwrap_err().to_string();
                assert!(error.contains(&key) && error.contains("config.json"), "{error}");
                assert!(error.contains("from 0 to 16777216"), "{error}");
            }
        }
    }
    for (key, value) in
        [("bos_token", json!(1)), ("eos_token", json!({"content": 3})), ("add_bos_token", json!("yes"))]
    {
        let error = of(&small(&json!({})), &json!({}), &json!({ key: value })).unwrap_err().to_string();
        assert!(error.contains(key) && error.contains("tokenizer_config.json"), "{error}");
    }
}

#[test]
fn switches_take_precedence_over_templates_for_added_tokens() {
    let token = |text: &str| json!({"SpecialToken": {"id": text, "type_id": 0}});
    let sequence = |id: &str| json!({"Sequence": {"id": id, "type_id": 0}});
    let template = |single: Value, pair: Value| {
        json!({"post_processor": {"type": "TemplateProcessing", "single": single, "pair": pair, "special_tokens": {
            "<s>": {"id": "<s>", "ids": [4], "tokens": ["<s>"]},
            "<tool>": {"id": "<tool>", "ids": [5], "tokens": ["<tool>"]}
        }}})
    };
    let both = template(
        json!([token("<s>"), sequence("A"), token("<tool>")]),
        json!([token("<s>"), sequence("A"), token("<tool>"), sequence("B"), token("<tool>")]),
    );
    let around = |tokenizer: &Value, tokenizer_config: &Value| {
        let special = special(tokenizer, &json!({}), tokenizer_config);
        (special.add_bos, special.add_eos, special.add_sep, special.eos)
    };
    let named = json!({"bos_token": "<s>", "eos_token": "<tool>"});
    assert_eq!(around(&both, &named), (Some(true), Some(true), Some(false), Some(5)));
    let other_bos = json!({"bos_token": "<|look|>", "eos_token": "<tool>"});
    assert_eq!(around(&both, &other_bos).0, Some(false));
    let switches = json!({"bos_token": "<s>", "add_bos_token": false, "add_eos_token": true});
    assert_eq!(around(&json!({}), &switches), (Some(false), Some(true), None, None));
    let separated = template(
        json!([sequence("A"), sequence("B")]),
        json!([sequence("A"), token("<tool>"), sequence("B")]),
    );
    assert_eq!(around(&separated, &named), (Some(false), Some(false), Some(true), Some(5)));
}

#[test]
fn a_template_in_its_own_file_takes_precedence() {
    let template = |file: Option<&'static [u8]>, tokenizer_config: &Value| {
        let tokenizer_config = tokenizer_config.to_string();
        let files = TokenizerFiles {
            chat_template: file,
            tokenizer_config: Some(tokenizer_config.as_bytes()),
            special_tokens_map: None,
            ..files()
        };
        vocabulary(&files, N_VOCAB, "llama").unwrap().chat_template
    };
    let several = json!({"chat_template": [
        {"name": "tools", "template": "T"}, {"name": "default", "template": "D"}
    ]});
    assert_eq!(template(Some(b"F"), &several).as_deref(), Some("F"));
    assert_eq!(template(None, &several).as_deref(), Some("D"));
    assert_eq!(template(None, &json!({"chat_template": "S"})).as_deref(), Some("S"));
    assert_eq!(template(None, &json!({})), None);
}

#[test]
fn an_unknown_pre_tokenizer_is_shown_and_refuses_nothing() {
    for description in [json!({"type": "Whitespace"}), json!(null)] {
        let vocabulary = of(&small(&json!({"pre_tokenizer": description})), &json!({}), &json!({})).unwrap();
        let reason = format!("The pre-tokenizer of `tokenizer.json` is not known: `{description}`");
        assert_eq!(vocabulary.pre_tokenizer, PreTokenizer { name: None, cut: Cut::Unknown(reason) });
    }
}

#[test]
fn a_tokenizer_of_another_kind_is_refused() {
    check_refused(
        "",
        expect![[r#"
        `tokenizer.json` is missing or empty; save the checkpoint with its fast tokenizer
    "#]],
    );
    check_refused(
        "{\"model\": ",
        expect![[r#"
        `tokenizer.json` cannot be read: EOF while parsing a value at line 1 column 10; save or download it again
    "#]],
    );
    check_refused(
        "{}",
        expect![[r#"
        `tokenizer.json` cannot be read: missing field `model` at line 1 column 2; save or download it again
    "#]],
    );
    check_refused(
        &small(&json!({"model": {"type": "Unigram", "vocab": [["a", -1.0]]}})),
        expect![[r#"
            `tokenizer.json` is not supported: its model is `Unigram`; expected a `BPE` over bytes or as SentencePiece makes it
        "#]],
    );
    let model = |key: &str, value: Value| {
        let mut model = json!({"type": "BPE", "vocab": {"a": 0}, "merges": []});
        model[key] = value;
        small(&json!({"model": model}))
    };
    check_refused(
        &model("merges", json!(["a a"])),
        expect![[r#"
        Merge `a a` needs token `aa`, which the vocabulary does not have
    "#]],
    );
    check_refused(
        &model("merges", json!([["a", "b"]])),
        expect![[r#"
        Merge `a b` needs token `b`, which the vocabulary does not have
    "#]],
    );
    check_refused(
        &model("merges", json!(["aa"])),
        expect![[r#"
        Merge `aa` is not two pieces
    "#]],
    );
    check_refused(
        &model("end_of_word_suffix", json!("</w>")),
        expect![[r#"
            `tokenizer.json` is not supported: it marks the parts of a word (`continuing_subword_prefix`, `end_of_word_suffix`); expected a `BPE` over bytes or as SentencePiece makes it
        "#]],
    );
    check_refused(
        &model("dropout", json!(0.1)),
        expect![[r#"
            `tokenizer.json` is not supported: it leaves merges out at random (`dropout`); expected a `BPE` over bytes or as SentencePiece makes it
        "#]],
    );
    check_refused(
        &small(&json!({"normalizer": {"type": "Lowercase"}})),
        expect![[r#"
            The normalizer of `tokenizer.json` does `{"type":"Lowercase"}`; expected none or `NFC`
        "#]],
    );
}

#[test]
fn more_tokens_than_rows_are_refused() {
    let error = vocabulary(&files(), 4095, "llama").unwrap_err();
    expect![[r#"
        `tokenizer.json` gives `<|eot_id|>` the id 4095, but the token embedding has 4095 rows; resize the embedding, or take the tokenizer that the model was trained with
    "#]].assert_eq(&format!("{error}\n"));
}

#[test]
fn a_special_token_outside_the_vocabulary_is_refused() {
    let error = of(&small(&json!({})), &json!({}), &json!({"eos_token": "</s>"})).unwrap_err();
    expect![[r#"
        `eos_token` is `</s>`, which is not a token of the tokenizer; take both files from the same folder
    "#]]
    .assert_eq(&format!("{error}\n"));
    let files = TokenizerFiles { generation_config: Some(b"[]"), ..files() };
    let error = vocabulary(&files, N_VOCAB, "llama").unwrap_err();
    expect![[r#"
        `generation_config.json` is not a JSON object: found `[]`
    "#]]
    .assert_eq(&format!("{error}\n"));
}
