//! Every subcommand on the demo: its output and its exit code.

use std::fs;

use serde_json::Value;

use crate::sandbox::{BUNDLE, GGUF, Sandbox, Template, mc, run};

const PACKAGE: &str = "models/package.kdl";

/// The specialists to which the demo's model may route.
fn specialists(sandbox: &Sandbox) -> Vec<String> {
    let items = fs::read_to_string(sandbox.path("models/data/intents.jsonl")).unwrap();
    let answer =
        |line: &str| serde_json::from_str::<Value>(line).unwrap()["answer"].as_str().unwrap().to_owned();
    items.lines().map(answer).collect()
}

#[test]
fn the_help_lists_all_subcommands() {
    let help = run(mc().arg("--help")).exits(0).stdout;
    for verb in ["build", "test", "run", "query", "check", "inspect", "cache", "clean", "info", "completions"]
    {
        assert!(help.contains(&format!("\n  {verb} ")), "{verb} is not in {help}");
    }
    assert!(
        run(mc().args(["completions", "bash"])).exits(0).stdout.starts_with("# Completion of mc for bash")
    );
}

#[test]
fn queries_list_targets() {
    let sandbox = Sandbox::new();
    let list = |query: &str| sandbox.mc(&["query", query]).exits(0).stdout;
    assert_eq!(
        list("rdeps(//..., //targets:iphone-15)"),
        "//models:roadtrip-q4km-ios\n//targets:iphone-15\n"
    );
    assert_eq!(list("kind(checkpoint, deps(//models:roadtrip-q4ks))"), "//models:roadtrip-base\n");
    assert_eq!(list("kind(dataset, //models/...)").lines().count(), 3);
    let deps = list(&format!("deps({BUNDLE})"));
    assert_eq!(deps.lines().count(), 11);
    assert!(deps.contains("//models:roadtrip-q4km-ios.merge\n") && deps.contains("//targets:iphone-15\n"));
    let document = sandbox.mc(&["query", "--output", "json", "kind(adapter, //...)"]).exits(0).json();
    assert_eq!(document["targets"][0]["label"], "//models:roadtrip-adapter");
    sandbox.mc(&["query", "deps(//models:roadtrip-q4km-ios"]).exits(2);
}

#[test]
fn check_reports_all_errors_at_once() {
    let sandbox = Sandbox::new();
    assert_eq!(sandbox.mc(&["check"]).exits(0).stdout, "ok: 2 packages, 11 targets\n");
    sandbox.edit(PACKAGE, "quantize \"F16\"", "quantize \"F15\"");
    sandbox.edit(
        PACKAGE,
        r#"adapter "roadtrip-adapter" dir="adapter""#,
        r#"adapter "roadtrip-adapter" dir="adaptor""#,
    );
    let ran = sandbox.mc(&["check"]).exits(2);
    assert!(ran.errors().len() >= 2, "{}", ran.stderr);
    assert!(ran.stderr.contains("Did you mean `F16`?"), "{}", ran.stderr);
    let document = sandbox.mc(&["check", "--output", "json"]).exits(2).json();
    assert_eq!(document["diagnostics"].as_array().unwrap().len(), ran.errors().len());
}

#[test]
fn unknown_labels_are_reported_with_the_most_similar_one() {
    let sandbox = Sandbox::new();
    let ran = sandbox.mc(&["build", "//models:roadtrip-q4kn"]).exits(2);
    assert!(ran.errors()[0].contains("Did you mean `//models:roadtrip-q4km`?"), "{}", ran.stderr);
    assert!(
        sandbox
            .mc(&["build", "//model:roadtrip-q4km"])
            .exits(2)
            .stderr
            .contains("There is no package `//model`")
    );
    sandbox.mc(&["biuld", BUNDLE]).exits(2);
    let document = sandbox.mc(&["build", "--output", "json", "//models:roadtrip-q4kn"]).exits(2).json();
    assert_eq!(document["status"], "wrong-declaration");
}

#[test]
fn inspect_shows_files_objects_and_targets() {
    let sandbox = Sandbox::warm_gguf();
    sandbox.build(&[GGUF]);
    let json = |source: &str| sandbox.mc(&["inspect", "--output", "json", source]).exits(0).json();
    let file = json("mc-out/models/roadtrip-q4km-ios.gguf/roadtrip-q4km-ios.gguf");
    let mut target = json(GGUF);
    // The quantization error of a target is known, that of a file is not.
    for tensor in target["tensors"].as_array_mut().unwrap() {
        let is_plain = tensor["type"] == "F32";
        let fidelity = tensor.as_object_mut().unwrap().remove("fidelity").unwrap();
        assert_eq!(fidelity["rmse"] == 0.0, is_plain, "{tensor}");
        assert!(fidelity["snr_db"].as_f64().is_none_or(|snr_db| snr_db > 20.0), "{tensor}");
    }
    assert_eq!(file["tensors"], target["tensors"]);
    assert_eq!(file["tensors"].as_array().unwrap().len(), 38);
    assert_eq!(file["format"], "GGUF");
    let weights = json("models/base/model.safetensors");
    assert_eq!((&weights["format"], &weights["tensors"][0]["type"]), (&"safetensors".into(), &"BF16".into()));
    let text = sandbox.mc(&["inspect", "models/adapter/adapter_model.safetensors"]).exits(0).stdout;
    assert!(text.contains("56 tensors"), "{text}");
    let object = fs::read_dir(sandbox.cache.join("cas")).unwrap().next().unwrap().unwrap().path();
    let object = fs::read_dir(object).unwrap().next().unwrap().unwrap();
    let listing = json(object.file_name().to_str().unwrap());
    assert_eq!(listing["bytes"]["file"], object.metadata().unwrap().len());
    sandbox.mc(&["inspect", "workspace.kdl"]).exits(1);
    sandbox.mc(&["inspect", "absent.gguf"]).exits(2);
}

#[test]
fn the_store_is_counted_verified_and_removed_only_on_confirmation() {
    let sandbox = Sandbox::warm_gguf();
    sandbox.build(&[GGUF]);
    let stats = sandbox.mc(&["cache", "stats", "--output", "json"]).exits(0).json();
    assert_eq!(stats["action_results"]["files"], Template::get().gguf.n_ran());
    let verified = sandbox.mc(&["cache", "verify", "--output", "json"]).exits(0).json();
    assert_eq!((&verified["blobs"], &verified["damaged"]), (&stats["blobs"], &Value::Array(Vec::new())));

    let reported = sandbox.mc(&["clean", "--dry-run"]).exits(0).stdout;
    assert!(reported.starts_with("would remove ") && reported.ends_with("mc-out\n"), "{reported}");
    sandbox.mc(&["clean", "--cache"]).exits(2);
    assert_eq!(sandbox.build(&[GGUF]).n_ran(), 0);
    sandbox.mc(&["clean"]).exits(0);
    assert!(!sandbox.path("mc-out").exists());
    assert_eq!(sandbox.build(&[GGUF]).n_ran(), 0);
    sandbox.mc(&["clean", "--cache", "--yes", "--output", "json"]).exits(0).json();
    // The file that marks the store remains, for parallel builds.
    assert_eq!(fs::read_dir(&sandbox.cache).unwrap().count(), 1);
    assert!(sandbox.path(PACKAGE).exists());
}

#[test]
fn info_reports_locations() {
    let sandbox = Sandbox::new();
    let info = sandbox.mc(&["info", "--output", "json"]).exits(0).json();
    assert_eq!(info["cache"], sandbox.cache.to_str().unwrap());
    assert_eq!(info["devices"][0], "//targets:iphone-15");
    run(mc().arg("info").current_dir(std::env::temp_dir())).exits(0);
}

#[test]
fn run_routes_to_a_specialist() {
    let sandbox = Sandbox::warm();
    let specialists = specialists(&sandbox);
    for (prompt, expected) in [("play some jazz", "music"), ("find a charger near the next exit", "places")] {
        assert!(specialists.iter().any(|specialist| specialist == expected));
        let ran = sandbox.mc(&["run", BUNDLE, "--", prompt]).exits(0);
        assert_eq!(ran.stdout, format!("{expected}\n"));
        let document = sandbox.mc(&["run", "--output", "json", GGUF, "--", prompt]).exits(0).json();
        assert_eq!(document["text"], expected);
    }
    let ran = sandbox.mc(&["run", GGUF]).exits(2);
    assert!(ran.stderr.contains("There is no prompt"), "{}", ran.stderr);
}

#[test]
fn test_shows_the_gates() {
    let sandbox = Sandbox::warm();
    let ran = sandbox.mc(&["test", BUNDLE, "//models:roadtrip-q4km"]).exits(0);
    for text in ["perplexity on evaluation", "accuracy on intents", "2 gates: 2 passed, 0 failed", "(cached)"]
    {
        assert!(ran.stdout.contains(text), "{}", ran.stdout);
    }
    assert!(sandbox.files("mc-out").is_empty());
    let document = sandbox.mc(&["test", "--output", "json", BUNDLE]).exits(0).json();
    assert_eq!(document["gates"][0]["checks"].as_array().unwrap().len(), 3);
}

#[test]
fn a_missed_gate_publishes_nothing_and_keeps_earlier_outputs() {
    let sandbox = Sandbox::warm();
    sandbox.build(&[BUNDLE]);
    sandbox.edit(PACKAGE, "max=\"525MB\"", "max=\"2MB\"");
    let ran = sandbox.mc(&["build", BUNDLE]).exits(3);
    let errors = ran.errors();
    let [error] = errors.as_slice() else { panic!("{}", ran.stderr) };
    assert!(error.starts_with("error: Gate failed") && error.contains("limit at most 2.00 MB"), "{error}");
    assert!(ran.stderr.contains("; 1 gate failed\n") && !ran.stderr.contains("1 failed"), "{}", ran.stderr);
    assert!(
        ran.stdout.starts_with("gate failed  //") && ran.stdout.contains("not published"),
        "{}",
        ran.stdout
    );
    let mut rows = ran.stdout.lines().skip_while(|line| !line.starts_with("  FAIL  size "));
    assert!(rows.nth(1).is_some_and(|limit| limit.contains("at most 2.00 MB")), "{}", ran.stdout);
    assert_eq!(sandbox.files("mc-out"), Template::get().bundle_files);
    let tested = sandbox.mc(&["test", BUNDLE]).exits(3);
    assert!(tested.stdout.starts_with("gate failed  //"), "{}", tested.stdout);
    let document = sandbox.mc(&["test", "--output", "json", BUNDLE]).exits(3).json();
    assert_eq!((&document["status"], &document["actions"]["failed"]), (&"gate-failed".into(), &0.into()));

    // Another target is not affected.
    let document = sandbox.mc(&["build", "--output", "json", BUNDLE, GGUF]).exits(3).json();
    let statuses = ["gate-failed", "built"];
    for (target, status) in document["targets"].as_array().unwrap().iter().zip(statuses) {
        assert_eq!(target["status"], status, "{document}");
    }
    assert_eq!(document["targets"][1]["outputs"], Template::get().gguf.document["targets"][0]["outputs"]);
}

#[test]
fn keep_going_builds_everything_that_does_not_depend_on_a_failure() {
    let sandbox = Sandbox::warm_gguf();
    let package = fs::read_to_string(sandbox.path(PACKAGE)).unwrap();
    let broken =
        "checkpoint \"broken\" dir=\"broken\"\ngguf \"bad\" { model \":broken\"; quantize \"F16\"; }\n";
    fs::write(sandbox.path(PACKAGE), format!("{package}{broken}")).unwrap();
    crate::sandbox::copy(&sandbox.path("models/base"), &sandbox.path("models/broken"));
    let weights = sandbox.path("models/broken/model.safetensors");
    let tensor = "model.layers.0.mlp.up_proj.weight";
    crate::safetensors_file::set_element(&weights, tensor, [0, 0], f32::INFINITY);
    let arguments = ["build", "--keep-going", "--output", "json", "//models:bad", GGUF];
    let ran = sandbox.mc(&arguments).exits(1);
    let document = ran.json();
    assert_eq!(document["targets"][0]["status"], "failed");
    assert_eq!(document["targets"][1]["status"], "built");
    assert_eq!(document["errors"].as_array().unwrap().len(), 1);
    assert_eq!(sandbox.files("mc-out"), Template::get().gguf_files);
    assert!(
        document["errors"][0]["because"].as_str().unwrap().contains("`blk.0.ffn_up.weight`"),
        "{document}"
    );
    assert_eq!(ran.errors(), Vec::<String>::new(), "the document has them");
}
