//! The completion scripts, run in their shells.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::sandbox::Sandbox;

/// Runs a script in a shell, in the workspace and with `mc` on the path; `None` if the shell is not installed.
fn in_shell(sandbox: &Sandbox, shell: &str, script: &str) -> Option<String> {
    let file = sandbox.dir().join(format!("script.{shell}"));
    fs::write(&file, script).unwrap();
    let folder = Path::new(env!("CARGO_BIN_EXE_mc")).parent().unwrap();
    let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap_or_default());
    let mut command = Command::new(shell);
    command.arg(&file).current_dir(sandbox.path("")).env("PATH", path).env("MC_CACHE_DIR", &sandbox.cache);
    let ran = command.output().ok()?;
    assert!(ran.status.success(), "{shell}: {}", String::from_utf8_lossy(&ran.stderr));
    Some(String::from_utf8(ran.stdout).unwrap())
}

#[test]
fn bash_completes_labels_although_it_cuts_words_at_colons() {
    let sandbox = Sandbox::new();
    let script = r#"
        source <(mc completions bash)
        candidates() {
            COMP_LINE=$1; COMP_POINT=${#1}; COMP_WORDS=("${@:2}"); COMP_CWORD=$(($# - 2))
            _mc
            printf '%s\n' "${COMPREPLY[@]}"
        }
        candidates 'mc build //models:roadtrip-q4km-' mc build //models : roadtrip-q4km-
        echo --
        candidates 'mc build --backend=can' mc build --backend = can
        echo --
        candidates "mc query 'deps(//targets:iph" mc query "'deps(//targets:iph"
    "#;
    let Some(found) = in_shell(&sandbox, "bash", script) else { return };
    let [labels, backends, queries] = found.split("--\n").collect::<Vec<_>>()[..] else { panic!("{found}") };
    assert!(labels.lines().any(|line| line == "roadtrip-q4km-ios"), "{found}");
    assert_eq!(backends.trim(), "candle-cpu");
    assert_eq!(queries.trim(), "deps(//targets:iphone-15");
}

#[test]
fn fish_completes_labels_with_their_rules() {
    let sandbox = Sandbox::new();
    let script = "mc completions fish | source\ncomplete -C 'mc build //models:roadtrip-q4km-i'\n";
    let Some(found) = in_shell(&sandbox, "fish", script) else { return };
    assert!(found.lines().any(|line| line == "//models:roadtrip-q4km-ios\tbundle"), "{found}");
}

#[test]
fn zsh_reads_its_script() {
    let sandbox = Sandbox::new();
    let script = "autoload -U compinit\ncompinit -u -D\nsource <(mc completions zsh)\necho $_comps[mc]\n";
    let Some(found) = in_shell(&sandbox, "zsh", script) else { return };
    assert_eq!(found.trim(), "_mc");
}
