//! Garbage collection: content in use stays, even if builds run concurrently or the collection is killed.

use std::fs;
use std::process::Child;
use std::time::Duration;

use crate::random::Random;
use crate::sandbox::{GGUF, Sandbox, Template, copy, files_below};

/// A collection that removes everything that is not in use.
const COLLECT: [&str; 4] = ["cache", "gc", "--max-size", "0B"];

fn n_blobs(sandbox: &Sandbox) -> usize {
    files_below(&sandbox.cache.join("cas")).len()
}

#[test]
fn concurrent_collections_do_not_change_the_result_of_a_build() {
    let sandbox = Sandbox::new();
    let mut build = sandbox.command(&["build", "--output", "json", "--jobs", "2", GGUF]).spawn().unwrap();
    let mut n_collections = 0;
    while build.try_wait().unwrap().is_none() {
        sandbox.mc(&COLLECT).exits(0);
        n_collections += 1;
    }
    assert!(n_collections > 3, "{n_collections}");
    assert!(build.wait().unwrap().success());
    assert_eq!(sandbox.files("mc-out"), Template::get().gguf_files);
    // Everything behind the outputs is still in the store.
    sandbox.mc(&COLLECT).exits(0);
    let again = sandbox.build(&[GGUF]);
    assert_eq!((again.n_ran(), again.digests()), (0, Template::get().gguf.digests()));
}

fn kill(child: &mut Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_killed_collection_leaves_an_intact_store() {
    let mut random = Random(17);
    for _ in 0..12 {
        let sandbox = Sandbox::warm_gguf();
        let mut collection = sandbox.command(&COLLECT).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(random.below(60) as u64));
        kill(&mut collection);
        sandbox.mc(&["cache", "verify"]).exits(0);
        assert_eq!(sandbox.build(&[GGUF]).digests(), Template::get().gguf.digests());
        fs::remove_dir_all(sandbox.path("mc-out")).unwrap();
        sandbox.mc(&COLLECT).exits(0);
        assert_eq!(n_blobs(&sandbox), 0);
        assert!(!sandbox.cache.join("evicted").exists());
    }
}

#[test]
fn a_killed_build_no_longer_protects_its_blobs() {
    let sandbox = Sandbox::new();
    let mut build = sandbox.command(&["build", GGUF]).spawn().unwrap();
    while n_blobs(&sandbox) < 5 {
        std::thread::sleep(Duration::from_millis(10));
    }
    kill(&mut build);
    sandbox.mc(&COLLECT).exits(0);
    assert_eq!(n_blobs(&sandbox), 0);
    assert_eq!(sandbox.build(&[GGUF]).digests(), Template::get().gguf.digests());
}

#[test]
fn a_command_trims_the_store_to_the_limit_except_for_content_in_use() {
    let sandbox = Sandbox::warm_gguf();
    let text = fs::read_to_string(sandbox.path("workspace.kdl")).unwrap();
    fs::write(sandbox.path("workspace.kdl"), format!("{text}cache {{ disk max-size=\"1kB\" }}\n")).unwrap();
    let before = n_blobs(&sandbox);
    let built = sandbox.build(&[GGUF]);
    assert_eq!(built.n_ran(), 0);
    assert_eq!(n_blobs(&sandbox), before, "everything is in use");
    assert!(built.stderr.contains("more than its limit of 1000"), "{}", built.stderr);
    // After its outputs are deleted, the blobs that only the first target used are removed.
    fs::remove_dir_all(sandbox.path("mc-out")).unwrap();
    let other = sandbox.mc(&["build", "//models:roadtrip-f16"]).exits(0);
    assert!(other.stderr.contains("removed ") && other.stderr.contains("from the store"), "{}", other.stderr);
    let blobs = files_below(&sandbox.cache.join("cas"));
    let n_bytes: u64 = blobs.iter().map(|blob| blob.metadata().unwrap().len()).sum();
    assert!(n_bytes < 9_500_000, "{n_bytes}");
    assert_eq!(sandbox.build(&["//models:roadtrip-f16"]).n_ran(), 0);
}

#[test]
fn a_store_of_another_format_is_an_error_and_stays_unchanged() {
    let sandbox = Sandbox::warm_gguf();
    let before = n_blobs(&sandbox);
    let aside = sandbox.dir().join("aside");
    copy(&sandbox.cache, &aside);
    fs::write(sandbox.cache.join("VERSION"), "mc-store 99\n").unwrap();
    let ran = sandbox.mc(&COLLECT).exits(2);
    assert!(ran.stderr.contains("mc-store 99"), "{}", ran.stderr);
    assert_eq!(n_blobs(&sandbox), before);
}
