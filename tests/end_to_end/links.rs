//! Sources behind links: inside the workspace they are like any other; outside of it they need a permission.

use std::fs;
use std::os::unix::fs::symlink;

use crate::sandbox::{BUNDLE, GGUF, Sandbox, Template, copy};

const WORKSPACE: &str = "workspace.kdl";

/// Permits links to a file or folder.
fn allow(sandbox: &Sandbox, path: &str) {
    let text = fs::read_to_string(sandbox.path(WORKSPACE)).unwrap();
    fs::write(sandbox.path(WORKSPACE), format!("{text}\nallow-outside \"{path}\"\n")).unwrap();
}

/// Checks that the build of a target ends with one error that names the link at a declaration, and reveals no outside
/// content.
#[track_caller]
fn check_refused(sandbox: &Sandbox, target: &str, link: &str, secret: &str) {
    let ran = sandbox.mc(&["build", target]).exits(2);
    let errors = ran.errors();
    assert_eq!(errors.len(), 1, "{}", ran.stderr);
    assert!(errors[0].contains(&format!("`{link}` is a link to `")), "{}", errors[0]);
    assert!(
        errors[0].contains("leads out of the workspace") && errors[0].contains("allow-outside"),
        "{}",
        errors[0]
    );
    assert!(errors[0].contains("models/package.kdl:"), "{}", errors[0]);
    assert!(!format!("{}{}", ran.stdout, ran.stderr).contains(secret));
    assert!(sandbox.files("mc-out").is_empty());
}

#[test]
fn license_files_patterns_and_files_of_a_checkpoint_do_not_lead_out_of_the_workspace() {
    let secret = "-----BEGIN PRIVATE KEY-----";
    for (link, target) in [
        ("models/base/LICENSE-2", BUNDLE),
        ("models/adapter/NOTICE", BUNDLE),
        ("models/data/calibration/x.txt", GGUF),
        ("models/data/evaluation/x.txt", BUNDLE),
    ] {
        let sandbox = Sandbox::new();
        fs::write(sandbox.dir().join("id_rsa"), secret).unwrap();
        symlink(sandbox.dir().join("id_rsa"), sandbox.path(link)).unwrap();
        check_refused(&sandbox, target, link, secret);
    }
    // A file that every checkpoint has, and one that the rule reads whole.
    for file in ["models/base/tokenizer.json", "models/base/config.json", "models/base/model.safetensors"] {
        let sandbox = Sandbox::new();
        let outside = sandbox.dir().join("outside");
        fs::rename(sandbox.path(file), &outside).unwrap();
        symlink(&outside, sandbox.path(file)).unwrap();
        check_refused(&sandbox, GGUF, file, secret);
    }
}

#[test]
fn a_checkpoint_outside_the_workspace_is_built_once_permitted() {
    let sandbox = Sandbox::new();
    let outside = sandbox.dir().canonicalize().unwrap().join("llama");
    fs::rename(sandbox.path("models/base"), &outside).unwrap();
    symlink(&outside, sandbox.path("models/base")).unwrap();
    check_refused(&sandbox, GGUF, "models/base", "no secret");
    allow(&sandbox, outside.to_str().unwrap());
    assert_eq!(sandbox.build(&[GGUF]).digests(), Template::get().gguf.digests());
    // Its files must not lead further.
    let further = sandbox.dir().join("tokenizer.json");
    fs::rename(outside.join("tokenizer.json"), &further).unwrap();
    symlink("../tokenizer.json", outside.join("tokenizer.json")).unwrap();
    fs::remove_dir_all(sandbox.path("mc-out")).unwrap();
    check_refused(&sandbox, GGUF, "models/base/tokenizer.json", "no secret");
    allow(&sandbox, "../tokenizer.json");
    assert_eq!(sandbox.build(&[GGUF]).n_ran(), 0);
}

#[test]
fn links_that_stay_in_the_workspace_are_like_the_files_themselves() {
    let sandbox = Sandbox::new();
    fs::create_dir(sandbox.path("shared")).unwrap();
    copy(&sandbox.path("models/base"), &sandbox.path("shared/base"));
    fs::remove_dir_all(sandbox.path("models/base")).unwrap();
    symlink("../shared/base", sandbox.path("models/base")).unwrap();
    fs::rename(sandbox.path("models/base/tokenizer.json"), sandbox.path("tokenizer.json")).unwrap();
    symlink("../../tokenizer.json", sandbox.path("shared/base/tokenizer.json")).unwrap();
    assert_eq!(sandbox.build(&[GGUF]).digests(), Template::get().gguf.digests());
}

#[test]
fn dangling_links_link_cycles_and_devices_are_errors() {
    for (target, expected) in [
        ("nowhere", "is a link to `nowhere`, which does not exist"),
        ("x.txt", "is a link to `x.txt`, which cannot be followed"),
        ("/dev/zero", "is a link to `/dev/zero`, which leads out of the workspace"),
        ("../../../pipe", "is neither a file nor a folder"),
    ] {
        let sandbox = Sandbox::new();
        let made = std::process::Command::new("mkfifo").arg(sandbox.path("pipe")).status().unwrap();
        assert!(made.success());
        symlink(target, sandbox.path("models/data/calibration/x.txt")).unwrap();
        let ran = sandbox.mc(&["build", GGUF]);
        assert!(matches!(ran.code, Some(1 | 2)), "{ran:?}");
        assert_eq!(ran.errors().len(), 1, "{}", ran.stderr);
        assert!(ran.stderr.contains(expected), "{}", ran.stderr);
    }
}
