//! File names that are not UTF-8: no file is skipped silently, and a path never prevents JSON output.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;

use crate::sandbox::{GGUF, Sandbox, copy, mc, run};

#[test]
fn a_pattern_that_matches_such_a_file_is_an_error_with_its_location() {
    let sandbox = Sandbox::new();
    let name = OsStr::from_bytes(b"caf\xe9.txt");
    fs::write(sandbox.path("models/data/calibration").join(name), "a line\n").unwrap();
    for verb in ["check", "build"] {
        let ran = sandbox.mc(&[verb, "//models:calibration"]).exits(2);
        let message = r"`models/data/calibration/caf\xE9.txt` has a name that is not UTF-8";
        assert!(ran.stderr.contains(message), "{}", ran.stderr);
        assert!(ran.stderr.contains("--> models/package.kdl:"), "{}", ran.stderr);
        assert!(ran.stderr.contains(r#"files "data/calibration/*.txt""#), "{}", ran.stderr);
    }
    // Without a matching pattern the file is ignored.
    sandbox.mc(&["check", "//models:evaluation"]).exits(0);
}

#[test]
fn a_folder_below_a_pattern_is_an_error_too() {
    let sandbox = Sandbox::new();
    let folder = sandbox.path("models/data").join(OsStr::from_bytes(b"\xff"));
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("a.txt"), "a line\n").unwrap();
    sandbox.edit("models/package.kdl", "data/evaluation/*.txt", "data/**/*.txt");
    let ran = sandbox.mc(&["check", "//models:evaluation"]).exits(2);
    assert!(ran.stderr.contains(r"`models/data/\xFF` has a name that is not UTF-8"), "{}", ran.stderr);
}

#[test]
fn a_license_file_of_a_checkpoint_is_not_skipped() {
    let sandbox = Sandbox::new();
    fs::write(sandbox.path("models/base").join(OsStr::from_bytes(b"LICENSE.\xff")), "text").unwrap();
    let ran = sandbox.mc(&["check", "//models:roadtrip-base"]).exits(2);
    assert!(ran.stderr.contains("has a name that is not UTF-8"), "{}", ran.stderr);
}

#[test]
fn a_path_never_prevents_json_output() {
    let warm = Sandbox::warm_gguf();
    let workspace = warm.dir().join(OsStr::from_bytes(b"work\xffspace"));
    let cache = warm.dir().join(OsStr::from_bytes(b"ca\xffche"));
    copy(&warm.workspace, &workspace);
    copy(&warm.cache, &cache);
    let json = |arguments: &[&str]| {
        let mut command = mc();
        command.arg("--cache-dir").arg(&cache).args(["--output", "json"]).args(arguments);
        run(command.current_dir(&workspace)).exits(0).json()
    };
    let built = json(&["build", GGUF]);
    assert!(built["targets"][0]["directory"].as_str().unwrap().contains("work\u{fffd}space"));
    for key in ["workspace", "cache"] {
        assert!(json(&["info"])[key].as_str().unwrap().contains('\u{fffd}'));
    }
    assert!(json(&["cache", "stats"])["store"].as_str().unwrap().ends_with("ca\u{fffd}che"));
    json(&["cache", "verify"]);
    json(&["cache", "gc", "--max-size", "1GB"]);
    json(&["check"]);
    json(&["query", "//..."]);
    json(&["inspect", GGUF]);
    let removed = json(&["clean"]);
    assert!(removed["removed"][0].as_str().unwrap().ends_with("mc-out"));
    json(&["clean", "--cache", "--yes"]);
}
