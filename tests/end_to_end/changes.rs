//! An edit rebuilds exactly the affected actions, and the result equals that of an empty store.

use std::fs::{self, File};
use std::time::SystemTime;

use serde_json::Value;

use crate::safetensors_file::set_element;
use crate::sandbox::{BUNDLE, GGUF, Sandbox, Template, files_below};

const PACKAGE: &str = "models/package.kdl";

#[test]
fn a_second_build_is_all_hits() {
    let sandbox = Sandbox::warm();
    let first = sandbox.build(&[BUNDLE]);
    let second = sandbox.build(&[BUNDLE]);
    for built in [&first, &second] {
        assert_eq!((built.n_ran(), built.n_hits()), (0, 51));
        assert!(built.stderr.ends_with("51 actions: 51 hits, 0 ran\n"), "{}", built.stderr);
        assert_eq!(built.digests(), Template::get().bundle.digests());
    }
    assert_eq!(sandbox.files("mc-out"), Template::get().bundle_files);
}

#[test]
fn touched_renamed_and_moved_inputs_run_nothing() {
    let mut sandbox = Sandbox::warm();
    for path in files_below(&sandbox.workspace) {
        File::options().append(true).open(path).unwrap().set_modified(SystemTime::now()).unwrap();
    }
    assert_eq!(sandbox.build(&[BUNDLE]).n_ran(), 0);

    fs::rename(sandbox.path("models/base"), sandbox.path("models/foundation")).unwrap();
    sandbox.edit(PACKAGE, r#"dir="base""#, r#"dir="foundation""#);
    assert_eq!(sandbox.build(&[BUNDLE]).n_ran(), 0);

    let moved = sandbox.dir().join("elsewhere");
    fs::rename(&sandbox.workspace, &moved).unwrap();
    sandbox.workspace = moved;
    let built = sandbox.build(&[BUNDLE]);
    assert_eq!(built.n_ran(), 0);
    assert_eq!(built.digests(), Template::get().bundle.digests());
}

#[test]
fn an_edited_comment_runs_nothing() {
    let sandbox = Sandbox::warm();
    sandbox.edit(PACKAGE, "checkpoint \"roadtrip-base\"", "// A thought.\ncheckpoint  \"roadtrip-base\"");
    assert_eq!(sandbox.build(&[BUNDLE]).n_ran(), 0);
}

#[test]
fn one_changed_value_of_a_lora_factor_runs_one_tensor_and_the_readers_of_the_model() {
    let warm = Sandbox::warm();
    change_one_weight(&warm);
    let built = warm.build(&[BUNDLE]);
    // The merged model is measured as the baseline, so both models are measured again.
    assert_eq!(built.ran_by_kind(), "accuracy 2, bundle 1, gguf 1, perplexity 2, tensor 1, verdict 1");
    assert_ne!(built.digests(), Template::get().bundle.digests());

    let fresh = Sandbox::new();
    change_one_weight(&fresh);
    assert_eq!(fresh.build(&[BUNDLE]).digests(), built.digests());
    assert_eq!(fresh.files("mc-out"), warm.files("mc-out"));
}

#[test]
fn a_variant_runs_exactly_the_tensors_with_another_type() {
    let sandbox = Sandbox::warm();
    let variant = "//models:roadtrip-q4ks.gguf";
    let built = sandbox.build(&[variant]);
    let types = |label: &str| {
        let listing = sandbox.mc(&["inspect", "--output", "json", label]).exits(0).json();
        let pair = |tensor: &Value| (tensor["name"].clone(), tensor["type"].clone());
        listing["tensors"].as_array().unwrap().iter().map(pair).collect::<Vec<_>>()
    };
    let (before, after) = (types(GGUF), types(variant));
    assert_eq!(before.len(), after.len());
    let n_changed = before.iter().zip(&after).filter(|(before, after)| before != after).count();
    assert!(n_changed > 0);
    assert_eq!(built.ran_by_kind(), format!("gguf 1, tensor {n_changed}"));
}

#[test]
fn one_changed_value_of_a_model_runs_one_tensor_of_a_blend() {
    let blended = || {
        let sandbox = Sandbox::new();
        let text = fs::read_to_string(sandbox.path(PACKAGE)).unwrap();
        let blend = r#"
            merge "half" { base ":roadtrip-base"; adapter ":roadtrip-adapter" scale=0.5 }
            blend "trimmed" {
                method "ties"
                base ":roadtrip-base"
                model ":half" weight=0.5 density=0.4
                model ":roadtrip-base" weight=1
            }
            blend "mix" {
                method "slerp"
                base ":roadtrip-base"
                model ":trimmed"
                t 0.2 0.8
            }
            gguf "blended" { model ":mix"; quantize "Q8_0" }
        "#;
        fs::write(sandbox.path(PACKAGE), text + blend).unwrap();
        sandbox
    };
    let sandbox = blended();
    let first = sandbox.build(&["//models:blended"]);
    assert_eq!(first.n_hits(), 0);
    change_one_weight(&sandbox);
    let second = sandbox.build(&["//models:blended"]);
    assert_eq!(second.ran_by_kind(), "gguf 1, tensor 1");

    // Independent of the machine: other vector instructions, one thread, an empty store.
    let fresh = blended();
    change_one_weight(&fresh);
    let third = fresh.build(&["--jobs", "1", "--cpu-path", "baseline", "//models:blended"]);
    assert_eq!(third.digests(), second.digests());
}

fn change_one_weight(sandbox: &Sandbox) {
    let path = sandbox.path("models/adapter/adapter_model.safetensors");
    set_element(&path, "base_model.model.model.layers.2.mlp.up_proj.lora_B.weight", [0, 0], 0.25);
}
