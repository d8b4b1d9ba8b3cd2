//! Damage in the store or in the outputs: detected, reported, and repaired by the next build.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::random::Random;
use crate::sandbox::{BUNDLE, GGUF, Sandbox, Template, change_bytes, files_below};

/// Flips one random bit of a file and restores its times, as a failing disk would leave them.
fn flip(path: &Path, random: &mut Random) {
    let modified = fs::metadata(path).unwrap().modified().unwrap();
    change_bytes(path, |bytes| {
        let at = random.below(bytes.len());
        bytes[at] ^= 1 << random.below(8);
    });
    File::open(path).unwrap().set_modified(modified).unwrap();
}

fn name(path: &Path) -> &str {
    path.file_name().unwrap().to_str().unwrap()
}

#[test]
fn a_flipped_bit_in_any_stored_file_is_detected_and_repaired() {
    let sandbox = Sandbox::warm_gguf();
    sandbox.build(&[GGUF]);
    let mut random = Random(4);
    for folder in ["cas", "ac"] {
        let stored = files_below(&sandbox.cache.join(folder));
        assert!(stored.len() >= 41, "{folder}");
        for path in stored.iter().filter(|path| fs::metadata(path).unwrap().len() > 0) {
            flip(path, &mut random);
            let built = sandbox.build(&[GGUF]);
            assert!(built.n_ran() >= 1, "{}", path.display());
            let warnings: Vec<_> =
                built.stderr.lines().filter(|line| line.starts_with("warning: ")).collect();
            assert!(warnings.len() == 1 && warnings[0].contains(name(path)), "{warnings:?}");
            assert_eq!(built.digests(), Template::get().gguf.digests());
            assert!(path.exists(), "{} was not made anew", path.display());
        }
    }
    assert_eq!(sandbox.files("mc-out"), Template::get().gguf_files);
    sandbox.mc(&["cache", "verify"]).exits(0);
}

#[test]
fn flipped_bits_in_all_stored_files_cost_only_a_build() {
    let sandbox = Sandbox::warm();
    let mut random = Random(5);
    for path in files_below(&sandbox.cache) {
        if name(&path) != "VERSION" && fs::metadata(&path).unwrap().len() > 0 {
            flip(&path, &mut random);
        }
    }
    let built = sandbox.build(&[BUNDLE]);
    assert!(built.stderr.contains("warning: "), "{}", built.stderr);
    assert_eq!(built.n_hits(), 0);
    assert_eq!(built.digests(), Template::get().bundle.digests());
    assert_eq!(sandbox.files("mc-out"), Template::get().bundle_files);
    assert_eq!(sandbox.build(&[BUNDLE]).n_ran(), 0);
}

#[test]
fn damaged_memos_cost_only_hashing() {
    let sandbox = Sandbox::warm_gguf();
    sandbox.build(&[GGUF]);
    let mut random = Random(6);
    for folder in ["memo", "out"] {
        let stored = files_below(&sandbox.cache.join(folder));
        assert!(!stored.is_empty(), "{folder}");
        for path in &stored {
            flip(path, &mut random);
        }
        let built = sandbox.build(&[GGUF]);
        assert_eq!(built.n_ran(), 0, "{folder}");
        assert_eq!(built.digests(), Template::get().gguf.digests());
        assert_eq!(sandbox.files("mc-out"), Template::get().gguf_files);
    }
}

#[test]
fn deleted_store_files_are_remade() {
    let sandbox = Sandbox::warm_gguf();
    let mut random = Random(7);
    for n_deleted in [1, 3, 10, 30, 60] {
        let mut stored: Vec<PathBuf> = files_below(&sandbox.cache);
        stored.retain(|path| name(path) != "VERSION");
        for _ in 0..n_deleted {
            fs::remove_file(stored.swap_remove(random.below(stored.len()))).unwrap();
        }
        let built = sandbox.build(&[GGUF]);
        assert_eq!(built.digests(), Template::get().gguf.digests());
        assert_eq!(sandbox.files("mc-out"), Template::get().gguf_files);
    }
}

#[test]
fn edited_and_deleted_outputs_are_repaired() {
    let sandbox = Sandbox::warm();
    sandbox.build(&[BUNDLE]);
    for (path, _) in sandbox.files("mc-out") {
        let path = sandbox.path("mc-out").join(path);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        fs::write(&path, "edited").unwrap();
        assert_eq!(sandbox.build(&[BUNDLE]).n_ran(), 0);
        assert_eq!(sandbox.files("mc-out"), Template::get().bundle_files);
        fs::remove_file(&path).unwrap();
        assert_eq!(sandbox.build(&[BUNDLE]).n_ran(), 0);
        assert_eq!(sandbox.files("mc-out"), Template::get().bundle_files);
    }
    fs::remove_dir_all(sandbox.path("mc-out")).unwrap();
    sandbox.build(&[BUNDLE]);
    assert_eq!(sandbox.files("mc-out"), Template::get().bundle_files);
}
