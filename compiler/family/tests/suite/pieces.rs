//! SentencePiece vocabularies: created here byte by byte, read, used to encode, and converted back.

use std::fmt::Write as _;

use mc_decoder::pre_tokenizer::PreTokenizer;
use mc_decoder::vocabulary::{TokenType, Vocabulary, VocabularyKind};
use mc_family::error::FamilyError;
use mc_family::tokenizer::Tokenizer;
use mc_family::tokenizer::fidelity::Fidelity;
use mc_family::tokenizer::parse_special::ParseSpecial;
use mc_family::tokenizer::sentence_piece::SentencePieceModel;
use mc_family::tokenizer::vocabulary::vocabulary;
use mc_family::tokenizer_files::TokenizerFiles;
use proptest::prelude::*;
use serde_json::{Value, json};

/// Pieces after the control tokens and the bytes, in the order in which they are merged.
const MADE: &[&str] = &["▁t", "he", "▁the", "in", "▁a", "er", "▁▁", "th", "ing"];
/// Single characters, which are not merged.
const LETTERS: &[&str] = &["▁", "t", "h", "e", "i", "n", "a", "r", "g", "é", "日"];
const N_VOCAB: u32 = 300;

fn number(mut number: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
    bytes
}

fn bytes(field: u64, content: &[u8]) -> Vec<u8> {
    [number(field << 3 | 2), number(content.len() as u64), content.to_vec()].concat()
}

fn switch(field: u64, value: u64) -> Vec<u8> {
    [number(field << 3), number(value)].concat()
}

fn pieces() -> Vec<(String, f32, u64)> {
    let control = [("<unk>", 2), ("<s>", 3), ("</s>", 3)];
    let mut pieces: Vec<(String, f32, u64)> =
        control.iter().map(|(text, kind)| ((*text).to_owned(), 0.0, *kind)).collect();
    pieces.extend((0..256).map(|byte| (format!("<0x{byte:02X}>"), 0.0, 6)));
    let normal = MADE.iter().chain(LETTERS).enumerate();
    pieces.extend(normal.map(|(rank, text)| ((*text).to_owned(), -(rank as f32), 1)));
    pieces
}

/// Returns a `tokenizer.model`; `settings` follow the usual ones.
fn model(settings: &[u8]) -> Vec<u8> {
    let mut model = Vec::new();
    for (text, score, kind) in pieces() {
        let score = [vec![0x15], score.to_le_bytes().to_vec()].concat();
        let piece = [bytes(1, text.as_bytes()), score, switch(3, kind)].concat();
        model.extend(bytes(1, &piece));
    }
    model.extend(bytes(2, &switch(3, 2)));
    model.extend(bytes(3, &[switch(3, 1), switch(4, 0)].concat()));
    model.extend(settings);
    model
}

/// Returns the `tokenizer.json` to which Transformers converts it.
pub(crate) fn converted() -> Value {
    let vocab: serde_json::Map<String, Value> =
        (0..).zip(pieces()).map(|(id, (text, ..))| (text, json!(id as u32))).collect();
    let mut merges = Vec::new();
    for made in MADE {
        for (place, _) in made.char_indices().skip(1) {
            let (left, right) = made.split_at(place);
            if vocab.contains_key(left) && vocab.contains_key(right) {
                merges.push(json!([left, right]));
            }
        }
    }
    let token = |id: u32, content: &str| {
        json!({"id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false,
            "normalized": false, "special": true})
    };
    json!({
        "version": "1.0", "truncation": null, "padding": null,
        "added_tokens": [token(0, "<unk>"), token(1, "<s>"), token(2, "</s>")],
        "normalizer": {"type": "Sequence", "normalizers": [
            {"type": "Prepend", "prepend": "▁"},
            {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}
        ]},
        "pre_tokenizer": null, "post_processor": null,
        "decoder": {"type": "Sequence", "decoders": [
            {"type": "Replace", "pattern": {"String": "▁"}, "content": " "}, {"type": "ByteFallback"},
            {"type": "Fuse"}, {"type": "Strip", "content": " ", "start": 1, "stop": 0}
        ]},
        "model": {"type": "BPE", "dropout": null, "unk_token": "<unk>", "continuing_subword_prefix": null,
            "end_of_word_suffix": null, "fuse_unk": true, "byte_fallback": true, "ignore_merges": false,
            "vocab": vocab, "merges": merges}
    })
}

fn tokenizer_config() -> Value {
    let control = |content: &str| json!({"content": content, "special": true});
    json!({
        "added_tokens_decoder": {
            "0": control("<unk>"), "1": control("<s>"), "2": control("</s>"),
            "290": {"content": "<tool>", "special": false}, "291": {"content": "<|end|>", "special": false}
        },
        "bos_token": "<s>", "eos_token": "</s>", "add_bos_token": true
    })
}

fn of(model: Option<&[u8]>, json: Option<&Value>, architecture: &str) -> Result<Vocabulary, FamilyError> {
    let (json, config) = (json.map(Value::to_string), tokenizer_config().to_string());
    let files = TokenizerFiles {
        config: br#"{"bos_token_id": 1, "eos_token_id": 2}"#,
        tokenizer: json.as_deref().map(str::as_bytes),
        tokenizer_model: model,
        tokenizer_config: Some(config.as_bytes()),
        ..TokenizerFiles::default()
    };
    vocabulary(&files, N_VOCAB, architecture)
}

pub(crate) fn of_model() -> Vocabulary {
    of(Some(&model(&[])), None, "llama").unwrap()
}

#[test]
fn a_model_gives_pieces_scores_and_types() {
    let vocabulary = of_model();
    assert_eq!(
        (vocabulary.kind, &vocabulary.pre_tokenizer),
        (VocabularyKind::SentencePiece, &PreTokenizer::NONE)
    );
    assert_eq!(
        vocabulary.tokens[257..263],
        ["<0xFE>", "<0xFF>", "▁t", "he", "▁the", "in"].map(str::to_owned)[..]
    );
    assert_eq!(vocabulary.scores[257..261], [0.0, 0.0, -0.0, -1.0]);
    let kinds = [(0, TokenType::Control), (3, TokenType::Byte), (259, TokenType::Normal)];
    for (id, kind) in kinds {
        assert_eq!(vocabulary.types[id], kind, "{id}");
    }
    assert_eq!((vocabulary.types[290], vocabulary.types[291]), (TokenType::UserDefined, TokenType::Control));
    assert_eq!(
        (vocabulary.scores[0], vocabulary.scores[290], vocabulary.scores[299]),
        (-1000.0, -1000.0, -10000.0)
    );
    assert_eq!(vocabulary.tokens[299], "[PAD299]");
    assert_eq!((vocabulary.special.bos, vocabulary.special.eos), (Some(1), Some(2)));
}

#[test]
fn the_scores_of_a_converted_model_are_recovered() {
    let (model, json) = (of_model(), of(None, Some(&converted()), "llama").unwrap());
    assert_eq!(json.tokens, model.tokens);
    assert_eq!(json.types, model.types);
    assert_eq!(json.scores, model.scores);
}

#[test]
fn families_differ_in_the_space_before_a_text() {
    let space_prefix = |architecture: &str| of(Some(&model(&[])), None, architecture).unwrap().space_prefix;
    assert_eq!(["llama", "gemma3", "phi3"].map(space_prefix), [None, Some(false), None]);
    let without = model(&bytes(3, &[switch(3, 0), switch(4, 0)].concat()));
    assert_eq!(of(Some(&without), None, "llama").unwrap().space_prefix, Some(false));
    let gemma = Tokenizer::from_vocabulary(&of(Some(&model(&[])), None, "gemma3").unwrap()).unwrap();
    assert_eq!(gemma.decode(&gemma.encode(" the", ParseSpecial::No).unwrap()).unwrap(), " the");
}

#[test]
fn pairs_are_joined_by_score_and_the_rest_is_bytes() {
    let vocabulary = of_model();
    let tokenizer = Tokenizer::from_vocabulary(&vocabulary).unwrap();
    let pieces = |text: &str, special: ParseSpecial| {
        let ids = tokenizer.encode(text, special).unwrap();
        ids.iter().map(|id| vocabulary.tokens[*id as usize].clone()).collect::<Vec<_>>().join("|")
    };
    assert_eq!(pieces("the thing", ParseSpecial::No), "▁the|▁t|h|ing");
    assert_eq!(pieces("aé🦙", ParseSpecial::No), "▁a|é|<0xF0>|<0x9F>|<0xA6>|<0x99>");
    assert_eq!(pieces("<s>the<tool>the", ParseSpecial::Yes), "<s>|▁the|<tool>|▁the");
    assert_eq!(pieces("<tool><s>", ParseSpecial::No), "<tool>|▁|<0x3C>|<0x73>|<0x3E>");
    assert_eq!(pieces("", ParseSpecial::Yes), "");
}

#[test]
fn a_changed_merge_is_reported_by_the_text_that_it_changes() {
    let mut json = converted();
    let merges = json["model"]["merges"].as_array_mut().unwrap();
    // `▁the` is no longer merged.
    merges.retain(|merge| format!("{}{}", merge[0].as_str().unwrap(), merge[1].as_str().unwrap()) != "▁the");
    let text = json.to_string();
    let files =
        TokenizerFiles { config: b"{}", tokenizer: Some(text.as_bytes()), ..TokenizerFiles::default() };
    let fidelity = Fidelity::new(&files, N_VOCAB, "llama", &of_model()).unwrap();
    assert_eq!(fidelity.difference("in a ring").unwrap(), None);
    let difference = fidelity.difference("in the ring").unwrap().unwrap();
    let mut reported = String::new();
    for (side, ids) in &difference.sides {
        writeln!(reported, "{side} has {ids}").unwrap();
    }
    assert_eq!(difference.n_equal_bytes, 2);
    assert!(reported.starts_with("the checkpoint has 259 \"▁t\", 260 \"he\", "), "{reported}");
    assert!(reported.contains("the container has 261 \"▁the\", "), "{reported}");
}

#[test]
fn models_that_no_container_supports_are_refused() {
    let reported = |settings: &[u8]| of(Some(&model(settings)), None, "llama").unwrap_err().to_string();
    assert!(reported(&bytes(2, &switch(3, 1))).contains("it was trained as unigram"));
    assert!(reported(&bytes(3, &bytes(2, b"table"))).contains("`precompiled_charsmap`"));
    assert!(reported(&bytes(3, &switch(4, 1))).contains("`remove_extra_whitespaces`"));
    assert!(reported(&bytes(1, &switch(3, 1))).contains("has no text"));
    assert!(reported(&bytes(1, &[bytes(1, b"x"), switch(3, 9)].concat())).contains("has the type 9"));
    assert!(reported(&bytes(1, &bytes(1, &[0xff]))).contains("is not UTF-8"));
    assert!(reported(&[0x0a, 0x7f]).contains("cannot be read"));
    assert!(SentencePieceModel::from_bytes(&[]).unwrap_err().to_string().contains("holds no pieces"));
    let neither = of(None, None, "llama").unwrap_err().to_string();
    assert!(neither.contains("neither `tokenizer.json` nor `tokenizer.model`"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn a_model_and_its_conversion_give_the_same_ids(
        text in "((the|thing|in|a| |  |ering|<s>|<tool>|é|日|🦙|\\PC){0,3}|\\s{0,3}){0,6}"
    ) {
        let json = converted().to_string();
        let config = tokenizer_config().to_string();
        let files = TokenizerFiles {
            config: b"{}",
            tokenizer: Some(json.as_bytes()),
            tokenizer_config: Some(config.as_bytes()),
            ..TokenizerFiles::default()
        };
        let checkpoint = Tokenizer::from_files(&files, N_VOCAB, "llama").unwrap();
        let container = Tokenizer::from_vocabulary(&of_model()).unwrap();
        for special in [ParseSpecial::Yes, ParseSpecial::No] {
            prop_assert_eq!(checkpoint.encode(&text, special).unwrap(), container.encode(&text, special).unwrap());
        }
        let ids = container.encode(&text, ParseSpecial::No).unwrap();
        if !text.contains('▁') && !text.contains("<tool>") {
            prop_assert_eq!(container.decode(&ids).unwrap(), text);
        }
    }

    #[test]
    fn a_damaged_model_is_read_or_refused(places in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8), end in any::<prop::sample::Index>()) {
        let mut damaged = model(&[]);
        for (place, byte) in places {
            let place = place.index(damaged.len());
            damaged[place] = byte;
        }
        damaged.truncate(end.index(damaged.len()) + 1);
        if let Ok(read) = SentencePieceModel::from_bytes(&damaged) {
            prop_assert!(read.pieces.len() * 5 <= damaged.len());
        }
    }
}
