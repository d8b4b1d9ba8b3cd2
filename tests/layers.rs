//! The floors of the house and their arrows: which crate may know which, and who alone knows which library.
//!
//! Read from `cargo metadata`, so that a new arrow is a decision that shows in a review of this file.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

/// Each crate with the crates of ours that it may depend on, floor by floor. The tests of a crate may use what it may.
const ARROWS: &[(&str, &[&str])] = &[
    ("mc-digest", &[]),
    ("mc-files", &[]),
    ("mc-syntax", &[]),
    ("mc-tensor", &[]),
    ("mc-decoder", &[]),
    ("mc-codec", &["mc-tensor"]),
    ("mc-family", &["mc-decoder", "mc-tensor"]),
    ("mc-format", &["mc-codec", "mc-decoder", "mc-tensor"]),
    ("mc-ir", &["mc-digest", "mc-tensor"]),
    ("mc-store", &["mc-digest", "mc-files"]),
    ("mc-fetch", &["mc-digest", "mc-files", "mc-ir", "mc-syntax"]),
    ("mc-remote", &["mc-digest", "mc-fetch", "mc-files", "mc-ir", "mc-store"]),
    ("mc-runtime", &["mc-codec", "mc-decoder", "mc-tensor"]),
    (
        "mc-rules",
        &[
            "mc-codec",
            "mc-decoder",
            "mc-digest",
            "mc-family",
            "mc-format",
            "mc-ir",
            "mc-runtime",
            "mc-tensor",
        ],
    ),
    ("mc-analysis", &["mc-files", "mc-ir", "mc-syntax"]),
    ("mc-hostile", &["mc-family", "mc-format"]),
    ("mc-execute", &["mc-digest", "mc-files", "mc-ir", "mc-store"]),
    (
        "mc-driver",
        &[
            "mc-analysis",
            "mc-codec",
            "mc-digest",
            "mc-execute",
            "mc-fetch",
            "mc-files",
            "mc-format",
            "mc-ir",
            "mc-remote",
            "mc-rules",
            "mc-store",
        ],
    ),
    (
        "mc",
        &[
            "mc-analysis",
            "mc-digest",
            "mc-driver",
            "mc-execute",
            "mc-fetch",
            "mc-files",
            "mc-ir",
            "mc-remote",
            "mc-rules",
            "mc-store",
            "mc-syntax",
            "mc-tensor",
        ],
    ),
];

/// Libraries that only some crates may know.
const DOORS: &[(&str, &[&str])] = &[
    ("bazel-remote-apis", &["mc-remote"]),
    ("blake3", &["mc-digest"]),
    ("candle-core", &["mc-runtime"]),
    ("clap", &["mc"]),
    ("indicatif", &["mc"]),
    ("libc", &["mc"]),
    ("memmap2", &["mc-store"]),
    ("petgraph", &["mc-ir"]),
    ("ring", &["mc-fetch", "mc-remote"]),
    ("rustls", &["mc-fetch"]),
    ("rusty-s3", &["mc-remote"]),
    ("salsa", &["mc-analysis"]),
    ("saphyr-parser", &["mc"]),
    ("rustix", &["mc-files"]),
    ("tempfile", &["mc-remote", "mc-store"]),
    ("tokenizers", &["mc-family"]),
    ("minijinja", &["mc-family"]),
    ("tokio", &["mc-remote"]),
    ("tonic", &["mc-remote"]),
    ("ureq", &["mc-fetch"]),
    ("zstd", &["mc-remote"]),
];

struct Package {
    normal: BTreeSet<String>,
    all: BTreeSet<String>,
}

fn packages() -> BTreeMap<String, Package> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline", "--manifest-path"])
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.toml"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let package = |package: &Value| {
        let name = package["name"].as_str().unwrap().to_owned();
        let dependencies = package["dependencies"].as_array().unwrap();
        let names = |is_wanted: &dyn Fn(&Value) -> bool| {
            let wanted = dependencies.iter().filter(|dependency| is_wanted(dependency));
            wanted.map(|dependency| dependency["name"].as_str().unwrap().to_owned()).collect()
        };
        (name, Package { normal: names(&|dependency| dependency["kind"].is_null()), all: names(&|_| true) })
    };
    metadata["packages"].as_array().unwrap().iter().map(package).collect()
}

#[test]
fn every_arrow_between_crates_is_one_that_the_house_allows() {
    let packages = packages();
    let known: Vec<&str> = ARROWS.iter().map(|(name, _)| *name).collect();
    let mut wrong = Vec::new();
    for (name, package) in &packages {
        let Some((_, allowed)) = ARROWS.iter().find(|(known, _)| known == name) else {
            wrong.push(format!("`{name}` is on no floor"));
            continue;
        };
        for dependency in package.all.iter().filter(|dependency| known.contains(&dependency.as_str())) {
            if !allowed.contains(&dependency.as_str()) {
                wrong.push(format!("`{name}` may not know `{dependency}`"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(packages.len(), known.len(), "crates of the workspace");
}

#[test]
fn libraries_are_known_behind_their_doors_only() {
    let mut wrong = Vec::new();
    for (name, package) in packages() {
        for (library, doors) in DOORS {
            if package.normal.contains(*library) && !doors.contains(&name.as_str()) {
                wrong.push(format!("`{name}` may not know `{library}`; ask {doors:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
