//! Signals at any moment, and standard files that a parent process closed.

use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::random::Random;
use crate::sandbox::{BUNDLE, GGUF, MINUTES, Sandbox, Template, run};

/// Processes that are ended early; `MC_SIGNALS` asks for another number.
const N_SIGNALS: u32 = 40;

fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill").args([name, &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
}

/// Waits for the end of a process that was told to end; returns the code with which it ended, or the signal.
#[track_caller]
fn end(mut child: Child) -> Result<i32, i32> {
    use std::os::unix::process::ExitStatusExt;

    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code().ok_or_else(|| status.signal().unwrap());
        }
        if start.elapsed() > Duration::from_secs(60) {
            child.kill().unwrap();
            panic!("it did not end by the signal");
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn a_signal_at_any_early_moment_ends_the_process_and_leaves_nothing_half_made() {
    let n_signals = std::env::var("MC_SIGNALS").map_or(N_SIGNALS, |text| text.parse().unwrap());
    // Building would take minutes, so whoever ends with success ignored the signal.
    let sandbox = Sandbox::warm_gguf();
    sandbox.repeat_evaluation(MINUTES);
    let mut random = Random(31);
    for _ in 0..n_signals {
        let mut command = sandbox.command(&["build", BUNDLE]);
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_micros(random.below(60_000) as u64));
        // Of the three, the only one that no shell makes its children ignore.
        signal(&child, "-TERM");
        let ended = end(child);
        // Before `main` runs, the signal itself ends the process.
        assert!(matches!(ended, Ok(8) | Err(15)), "{ended:?}");
        assert!(sandbox.files("mc-out").is_empty());
    }
    // The store is whole.
    assert_eq!(sandbox.build(&[GGUF]).digests(), Template::get().gguf.digests());
}

#[test]
fn a_command_that_builds_nothing_ends_as_interrupted_too() {
    let sandbox = Sandbox::new();
    let file = sandbox.dir().join("model.gguf");
    fs::write(&file, &Template::get().gguf_files[0].1).unwrap();
    // It waits for a prompt that never comes.
    let mut command = sandbox.command(&["run", file.to_str().unwrap()]);
    let child = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(1500));
    signal(&child, "-TERM");
    assert_eq!(end(child), Ok(8));
}

#[test]
fn under_nohup_a_hangup_ends_nothing() {
    let sandbox = Sandbox::new();
    let mut command = sandbox.shell("trap '' HUP", &["query", "//..."]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    drop(child.stdin.take());
    for _ in 0..20 {
        // It may have ended by itself.
        drop(Command::new("kill").args(["-HUP", &child.id().to_string()]).stderr(Stdio::null()).status());
        std::thread::sleep(Duration::from_millis(5));
    }
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(!output.stdout.is_empty());
}

#[test]
fn no_file_of_ours_takes_the_place_of_a_closed_standard_file() {
    let sandbox = Sandbox::new();
    fs::write(
        sandbox.path("merge.yaml"),
        "merge_method: linear\nmodels:\n  - model: a\n    parameters: {weight: 1.0}\n  - model: b\n    parameters: {weight: 1.0}\ndtype: float16\n",
    )
    .unwrap();
    let expected = sandbox.mc(&["import", "mergekit", "merge.yaml"]).exits(0).stdout;
    for closed in ["exec <&-", "exec >&-", "exec 2>&-", "exec <&- >&- 2>&-"] {
        let arguments = ["import", "mergekit", "merge.yaml", "--to", "new.kdl"];
        run(&mut sandbox.shell(closed, &arguments)).exits(0);
        assert_eq!(fs::read_to_string(sandbox.path("new.kdl")).unwrap(), expected, "{closed}");
        // It is there already: an error that nobody can be told, and that goes into no file.
        run(&mut sandbox.shell(closed, &arguments)).exits(1);
        assert_eq!(fs::read_to_string(sandbox.path("new.kdl")).unwrap(), expected, "{closed}");
        fs::remove_file(sandbox.path("new.kdl")).unwrap();
        run(&mut sandbox.shell(closed, &["build", GGUF])).exits(0);
        assert_eq!(sandbox.files("mc-out"), Template::get().gguf_files, "{closed}");
        run(&mut sandbox.shell(closed, &["cache", "verify"])).exits(0);
    }
}
