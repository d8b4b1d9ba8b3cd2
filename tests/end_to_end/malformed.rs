//! Malformed or inconsistent inputs: one clear error each, at the right location, with the right exit code.

use std::fs::{self, File};

use serde_json::json;

use crate::safetensors_file::{change_header, set_element};
use crate::sandbox::{BUNDLE, GGUF, Sandbox, Template, change_bytes, copy};

const PACKAGE: &str = "models/package.kdl";
const WEIGHTS: &str = "models/base/model.safetensors";
const FACTORS: &str = "models/adapter/adapter_model.safetensors";

/// A build without imatrix.
const UNCALIBRATED: &str = "//models:roadtrip-f16.gguf";

/// Location of the first occurrence of these words in the demo's package file.
fn place(words: &str) -> String {
    let package = fs::read_to_string(Sandbox::new().path(PACKAGE)).unwrap();
    let before = &package[..package.find(words).unwrap()];
    let column = before.len() - before.rfind('\n').map_or(0, |end| end + 1) + 1;
    format!("{PACKAGE}:{}:{column}\n", before.lines().count().max(1))
}

/// The checkpoint's folder, as declared.
const BASE: &str = "\"base\"\n";

/// Checks that the build of the target ends with this exit code and one error that contains all of these texts, and
/// keeps the published outputs.
#[track_caller]
fn check(target: &str, code: i32, expected: &[&str], damage: impl FnOnce(&Sandbox)) {
    let sandbox = Sandbox::new();
    let published = sandbox.path("mc-out/models");
    fs::create_dir_all(&published).unwrap();
    fs::write(sandbox.path("mc-out/CACHEDIR.TAG"), "").unwrap();
    fs::write(published.join("kept"), "").unwrap();
    damage(&sandbox);
    let ran = sandbox.mc(&["build", target]).exits(code);
    let errors = ran.errors();
    assert_eq!(errors.len(), 1, "{}", ran.stderr);
    for text in expected {
        assert!(errors[0].contains(text), "`{text}` is not in: {}", errors[0]);
    }
    assert_eq!(sandbox.files("mc-out"), [("models/kept".to_owned(), Vec::new())]);
}

/// Checks that a wrong header of the base's weights is reported at the checkpoint's declaration.
#[track_caller]
fn check_header(expected: &str, change: impl FnOnce(&mut serde_json::Value)) {
    check(GGUF, 2, &["model.safetensors", &place(BASE), expected], |sandbox| {
        change_header(&sandbox.path(WEIGHTS), change);
    });
}

#[track_caller]
fn check_cut(expected: &str, path: &str, n_bytes: u64) {
    let file = path.rsplit_once('/').unwrap().1;
    check(GGUF, 2, &["is cut off", "models/package.kdl:", file, expected], |sandbox| {
        File::options().write(true).open(sandbox.path(path)).unwrap().set_len(n_bytes).unwrap();
    });
}

#[test]
fn adapters_that_do_not_match_are_reported_with_both_names() {
    let place = &place("\":roadtrip-adapter\" scale");
    let first = "base_model.model.model.layers.0.mlp.down_proj.lora_A.weight";
    let names =
        "the base has `model.layers.0.mlp.down_proj.weight`, the adapter `base_model.model.decoder.layers.0.";
    check(GGUF, 2, &["0 of 56 adapter tensors match the base", names, place], |sandbox| {
        change_header(&sandbox.path(FACTORS), |header| {
            let renamed = header.to_string().replace("model.model.layers", "model.decoder.layers");
            *header = serde_json::from_str(&renamed).unwrap();
        });
    });
    check(GGUF, 2, &["55 of 56 adapter tensors match", "layers.9.", place], |sandbox| {
        change_header(&sandbox.path(FACTORS), |header| {
            let renamed = header.to_string().replace(first, &first.replace(".0.", ".9."));
            *header = serde_json::from_str(&renamed).unwrap();
        });
    });
    check(GGUF, 2, &[first, "has rank 16", "says 8", place], |sandbox| {
        sandbox.edit("models/adapter/adapter_config.json", "\"r\": 16", "\"r\": 8");
    });
    check(GGUF, 2, &[first, "has rank 768", "says 16", place], |sandbox| {
        change_header(&sandbox.path(FACTORS), |header| header[first]["shape"] = json!([768, 16]));
    });
}

#[test]
fn an_adapter_of_another_base_is_reported_with_both_bases() {
    let expected =
        ["`//models:roadtrip-adapter` was trained on `//models:other`", "`//models:roadtrip-base`"];
    check(GGUF, 2, &expected, |sandbox| {
        copy(&sandbox.path("models/base"), &sandbox.path("models/other"));
        sandbox.edit(
            PACKAGE,
            r#"dir="adapter" base=":roadtrip-base""#,
            "dir=\"adapter\" base=\":other\"\ncheckpoint \"other\" dir=\"other\"",
        );
    });
}

#[test]
fn truncated_weights_are_reported_with_both_lengths() {
    check_cut("found 0", WEIGHTS, 0);
    check_cut("its header needs 8 bytes, found 5", WEIGHTS, 5);
    check_cut("its header needs 4096 bytes, found 100", WEIGHTS, 100);
    check_cut("end at byte 8397312, the file at 8000000", WEIGHTS, 8_000_000);
    check_cut("end at byte 1252376, the file at 1252375", FACTORS, 1_252_375);
}

#[test]
fn inconsistent_headers_are_reported_with_the_tensor() {
    let norm = "model.norm.weight";
    check(GGUF, 2, &["The header claims 9223372036854775807 bytes"], |sandbox| {
        change_bytes(&sandbox.path(WEIGHTS), |bytes| bytes[..8].copy_from_slice(&i64::MAX.to_le_bytes()));
    });
    check_header("its bytes begin at 0 of the data", |header| header[norm]["data_offsets"] = json!([0, 512]));
    let beyond = "`data_offsets` are 99999999990..99999999990502";
    check_header(beyond, |header| {
        header[norm]["data_offsets"] = json!([99_999_999_990_u64, 99_999_999_990_502_u64]);
    });
    check_header("`model.norm.weight`", |header| header[norm]["data_offsets"] = json!([512, 0]));
    check_header("`model.norm.weight`", |header| header[norm]["shape"] = json!([u64::MAX, u64::MAX]));
    check_header("shape [256] of F32 needs 1024 bytes", |header| header[norm]["dtype"] = json!("F32"));
    check_header("Unknown dtype `Q7`", |header| header[norm]["dtype"] = json!("Q7"));
    check_header("has type I16; expected F32, F16 or BF16", |header| header[norm]["dtype"] = json!("I16"));
    check_header("its tensors end at byte 16", |header| *header = json!({}));
}

#[test]
fn a_nan_is_reported_with_tensor_row_and_column() {
    let up = "model.layers.1.mlp.up_proj.weight";
    let place = "`blk.1.ffn_up.weight` has NaN at row 3, column 17";
    check(UNCALIBRATED, 1, &["blk.1.ffn_up.weight", place], |sandbox| {
        set_element(&sandbox.path(WEIGHTS), up, [3, 17], f32::NAN);
    });
    // A wrong row of a factor makes a row of the product wrong.
    let place = "`blk.1.ffn_up.weight` has NaN at row 3, column 0";
    check(GGUF, 1, &[place], |sandbox| {
        let factor = "base_model.model.model.layers.1.mlp.up_proj.lora_B.weight";
        set_element(&sandbox.path(FACTORS), factor, [3, 7], f32::NAN);
    });
    // The imatrix runs before the tensor's own action and knows only the block.
    check(GGUF, 1, &["block 1 feed-forward"], |sandbox| {
        set_element(&sandbox.path(WEIGHTS), up, [3, 17], f32::NAN);
    });
}

#[test]
fn blocks_out_of_range_are_warned_about_each_time() {
    let sandbox = Sandbox::new();
    set_element(&sandbox.path(WEIGHTS), "model.layers.1.mlp.up_proj.weight", [3, 17], 1e30);
    let warning =
        "Tensor `blk.1.ffn_up.weight`: blocks of F16 out of range, which decode to infinity or NaN: 1;";
    for _ in 0..2 {
        let ran = sandbox.mc(&["build", "--quiet", UNCALIBRATED]).exits(0);
        assert_eq!(ran.stderr.matches("warning:").count(), 1, "{}", ran.stderr);
        assert!(ran.stderr.contains(warning), "{}", ran.stderr);
    }
}

#[test]
fn missing_and_malformed_files_of_a_checkpoint_are_reported() {
    let place = &place(BASE);
    let reported = [
        ("tokenizer.json", "neither `tokenizer.json` nor `tokenizer.model`"),
        ("config.json", "no `config.json`"),
    ];
    for (file, missing) in reported {
        check(GGUF, 2, &[&format!("There is {missing} in `models/base`"), place], |sandbox| {
            fs::remove_file(sandbox.path("models/base").join(file)).unwrap();
        });
    }
    check(GGUF, 2, &["base/config.json", "is not a JSON object", place], |sandbox| {
        fs::write(sandbox.path("models/base/config.json"), "{\"hidden_size\": 256,").unwrap();
    });
    check(GGUF, 1, &["`tokenizer.json` cannot be read", "//models:roadtrip-q4km-ios.imatrix"], |sandbox| {
        fs::write(sandbox.path("models/base/tokenizer.json"), "{\"model\": {").unwrap();
    });
}

#[test]
fn an_unknown_quantization_is_reported_with_the_most_similar_name() {
    check(BUNDLE, 2, &["found the string `Q4_KM`", "Did you mean `Q4_K_M`?", &place("\"F16\"")], |sandbox| {
        sandbox.edit(PACKAGE, "quantize \"F16\"", "quantize \"Q4_KM\"");
    });
}

#[test]
fn calibration_data_that_is_also_evaluated_is_reported_with_its_lines() {
    let first = "models/data/calibration/prose.txt:1 = models/data/evaluation/seen.txt:1: ";
    check("//models:roadtrip-q4km-ios.gate", 1, &["share 40 lines; expected none", first], |sandbox| {
        let prose = fs::read_to_string(sandbox.path("models/data/calibration/prose.txt")).unwrap();
        let seen: String = prose.lines().take(40).map(|line| format!("{line}\n")).collect();
        fs::write(sandbox.path("models/data/evaluation/seen.txt"), seen).unwrap();
        sandbox.edit(PACKAGE, "data/evaluation/*.txt", "data/evaluation/seen.txt");
    });
}

#[test]
fn a_truncated_or_inconsistent_gguf_is_one_error() {
    let sandbox = Sandbox::new();
    let whole = &Template::get().gguf_files[0].1;
    let file = sandbox.dir().join("model.gguf");
    let check = |verbs: &[&str], bytes: &[u8], expected: &str| {
        fs::write(&file, bytes).unwrap();
        for verb in verbs {
            let mut arguments = vec![*verb, file.to_str().unwrap()];
            if *verb == "run" {
                arguments.extend(["--", "hello"]);
            }
            let ran = sandbox.mc(&arguments).exits(1);
            let errors = ran.errors();
            assert!(errors.len() == 1 && errors[0].contains(expected), "`{expected}`: {}", ran.stderr);
            assert!(errors[0].contains("model.gguf") && ran.stdout.is_empty(), "{ran:?}");
        }
    };
    let both = ["inspect", "run"];
    check(&both, &[], "cut off at byte 0");
    check(&both, &whole[..4], "cut off at byte 4");
    check(&both, &whole[..1000], "within the name of key 19");
    check(&both, &whole[..whole.len() - 100_000], "the file has 2795488");

    let at = |name: &str| {
        whole.windows(name.len()).position(|window| window == name.as_bytes()).unwrap() + name.len()
    };
    let with = |start: usize, bytes: &[u8]| {
        let mut lying = whole.clone();
        lying[start..start + bytes.len()].copy_from_slice(bytes);
        lying
    };
    let (huge, tensor) = ((1_u64 << 61).to_le_bytes(), at("token_embd.weight"));
    check(&both, &with(0, b"GGML"), "begins with `GGML`");
    check(&both, &with(4, &[9]), "GGUF version 9");
    check(&both, &with(8, &huge), "tensor type");
    check(&both, &with(16, &huge), "within the name of key");
    check(&both, &with(24, &huge), "within the name of key 0");
    check(&both, &with(tensor + 4, &huge), "dimensions [2305843009213693952, 4096]");
    check(&both, &with(tensor + 20, &999_u32.to_le_bytes()), "tensor type 999 is unknown");
    check(&both, &with(tensor + 24, &huge), "the file has 2895488");
    // A file may have such values; a model must not.
    let key = |name: &str| at(name) + 4;
    check(
        &["run"],
        &with(key("llama.block_count"), &4_000_000_u32.to_le_bytes()),
        "`llama.block_count`: 4000000",
    );
    check(&["run"], &with(key("llama.attention.head_count"), &[0]), "`llama.attention.head_count`: 0");
}

/// A sparse file takes no space on a disk, but would be hashed for hours.
#[test]
fn files_above_the_limit_are_refused_before_they_are_read() {
    let lengthen = |path: &'static str| {
        move |sandbox: &Sandbox| {
            let path = sandbox.path(path);
            drop(File::options().create(true).append(true).open(&path).unwrap());
            File::options().write(true).open(&path).unwrap().set_len(4 << 40).unwrap();
        }
    };
    for path in ["models/base/tokenizer.json", "models/base/chat_template.jinja", "models/base/LICENSE"] {
        check(
            GGUF,
            2,
            &[path, "has 4398046511104 bytes; expected at most 268435456", &place(BASE)],
            lengthen(path),
        );
    }
    let path = "models/data/calibration/prose.txt";
    check(GGUF, 2, &[path, "has 4398046511104 bytes; expected at most 1073741824"], lengthen(path));
}
