//! Layering checks: the allowed dependencies between crates, the libraries that only some crates may use, and the
//! absence of import cycles between files and folders of a crate.
//!
//! Crates are read from `cargo metadata`, so that a new dependency is a decision that shows in a review of this file.
//! Files are read as text: `layers/names.rs` finds the paths in them, `layers/arrows.rs` resolves the paths to files.

#[path = "layers/arrows.rs"]
mod arrows;
#[path = "layers/cycles.rs"]
mod cycles;
#[path = "layers/names.rs"]
mod names;
#[path = "layers/tokens.rs"]
mod tokens;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use arrows::Sources;

use serde_json::Value;

/// Each crate with the crates of this workspace on which it may depend, layer by layer. The same list applies to the
/// tests of a crate.
const ALLOWED_DEPENDENCIES: &[(&str, &[&str])] = &[
    ("mc-digest-derive", &[]),
    ("mc-digest", &["mc-digest-derive"]),
    ("mc-files", &[]),
    ("mc-syntax", &[]),
    ("mc-tensor", &[]),
    ("mc-graph", &["mc-digest", "mc-tensor"]),
    ("mc-decoder", &["mc-digest", "mc-graph", "mc-tensor"]),
    ("mc-encoding", &["mc-tensor"]),
    ("mc-family", &["mc-decoder", "mc-graph", "mc-tensor"]),
    ("mc-exporter", &["mc-digest", "mc-encoding", "mc-decoder", "mc-graph", "mc-tensor"]),
    ("mc-gguf", &["mc-encoding", "mc-decoder", "mc-exporter", "mc-graph", "mc-tensor"]),
    ("mc-mlx", &["mc-encoding", "mc-decoder", "mc-exporter", "mc-graph", "mc-safetensors", "mc-tensor"]),
    ("mc-onnx", &["mc-encoding", "mc-decoder", "mc-exporter", "mc-graph", "mc-tensor"]),
    ("mc-litert", &["mc-encoding", "mc-decoder", "mc-exporter", "mc-graph", "mc-tensor"]),
    ("mc-safetensors", &["mc-tensor"]),
    ("mc-expression", &["mc-encoding", "mc-tensor"]),
    ("mc-ir", &["mc-digest"]),
    ("mc-store", &["mc-digest", "mc-files"]),
    ("mc-fetch", &["mc-digest", "mc-files", "mc-ir", "mc-syntax"]),
    ("mc-remote", &["mc-digest", "mc-fetch", "mc-files", "mc-ir", "mc-store"]),
    ("mc-runtime", &["mc-encoding", "mc-decoder", "mc-graph", "mc-tensor"]),
    (
        "mc-rules",
        &[
            "mc-encoding",
            "mc-decoder",
            "mc-digest",
            "mc-exporter",
            "mc-expression",
            "mc-family",
            "mc-gguf",
            "mc-onnx",
            "mc-graph",
            "mc-litert",
            "mc-mlx",
            "mc-safetensors",
            "mc-ir",
            "mc-runtime",
            "mc-tensor",
        ],
    ),
    ("mc-analysis", &["mc-files", "mc-ir", "mc-syntax"]),
    (
        "mc-hostile",
        &["mc-decoder", "mc-exporter", "mc-family", "mc-gguf", "mc-litert", "mc-onnx", "mc-safetensors"],
    ),
    ("mc-execute", &["mc-digest", "mc-files", "mc-ir", "mc-store"]),
    (
        "mc-driver",
        &[
            "mc-analysis",
            "mc-encoding",
            "mc-digest",
            "mc-execute",
            "mc-exporter",
            "mc-fetch",
            "mc-files",
            "mc-safetensors",
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

/// Libraries that only some crates may use.
const LIBRARY_USERS: &[(&str, &[&str])] = &[
    ("bazel-remote-apis", &["mc-remote"]),
    ("blake3", &["mc-digest"]),
    ("candle-core", &["mc-runtime"]),
    ("clap", &["mc"]),
    ("clap_complete", &["mc"]),
    ("clap_mangen", &["mc"]),
    ("libc", &["mc"]),
    ("miniz_oxide", &["mc-litert"]),
    ("memmap2", &["mc-store"]),
    ("petgraph", &["mc-ir"]),
    ("ring", &["mc-fetch", "mc-remote"]),
    ("rustls", &["mc-fetch"]),
    ("rustyline", &["mc"]),
    ("salsa", &["mc-analysis"]),
    ("saphyr-parser", &["mc"]),
    ("rustix", &["mc-files"]),
    ("tempfile", &["mc-remote", "mc-store"]),
    ("terminal_size", &["mc"]),
    ("tokenizers", &["mc-family"]),
    ("minijinja", &["mc-family"]),
    ("tokio", &["mc-remote"]),
    ("tonic", &["mc-remote"]),
    ("ureq", &["mc-fetch"]),
    ("zstd", &["mc-remote"]),
];

struct Package {
    folder: PathBuf,
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
        let folder = Path::new(package["manifest_path"].as_str().unwrap()).parent().unwrap().to_owned();
        let normal = names(&|dependency| dependency["kind"].is_null());
        (name, Package { folder, normal, all: names(&|_| true) })
    };
    metadata["packages"].as_array().unwrap().iter().map(package).collect()
}

#[test]
fn crates_have_only_allowed_dependencies() {
    let packages = packages();
    let known: Vec<&str> = ALLOWED_DEPENDENCIES.iter().map(|(name, _)| *name).collect();
    let mut wrong = Vec::new();
    for (name, package) in &packages {
        let Some((_, allowed)) = ALLOWED_DEPENDENCIES.iter().find(|(known, _)| known == name) else {
            wrong.push(format!("`{name}` is in no layer"));
            continue;
        };
        for dependency in package.all.iter().filter(|dependency| known.contains(&dependency.as_str())) {
            if !allowed.contains(&dependency.as_str()) {
                wrong.push(format!("`{name}` must not depend on `{dependency}`"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(packages.len(), known.len(), "crates of the workspace");
}

#[test]
fn libraries_are_used_only_by_their_crates() {
    let mut wrong = Vec::new();
    for (name, package) in packages() {
        for (library, users) in LIBRARY_USERS {
            if package.normal.contains(*library) && !users.contains(&name.as_str()) {
                wrong.push(format!("`{name}` must not use `{library}`; only {users:?} may"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Fails with the cycles that `cycles` finds in the crates of the workspace.
fn no_cycles(cycles: &dyn Fn(&Sources) -> Vec<String>) {
    let mut wrong = Vec::new();
    for (name, package) in packages() {
        let found = cycles(&Sources::read(&package.folder.join("src")));
        wrong.extend(found.into_iter().map(|cycle| format!("`{name}`: {cycle}")));
    }
    assert!(wrong.is_empty(), "cycles: {}\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn no_file_imports_itself_through_others() {
    no_cycles(&Sources::file_cycles);
}

#[test]
fn modules_of_a_folder_are_layered() {
    no_cycles(&Sources::folder_cycles);
}
