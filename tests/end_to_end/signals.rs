//! Signals at any moment, and standard streams that the parent process closed.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::random::Random;
use crate::sandbox::{BUNDLE, GGUF, MINUTES, Sandbox, Template, run};

/// Number of processes that are ended early; set `MC_SIGNALS` to change it.
const N_SIGNALS: u32 = 40;

fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill").args([name, &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
}

/// Waits for the end of a signalled process; returns its exit code, or the signal that ended it.
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
fn an_early_signal_ends_the_process_and_leaves_no_partial_files() {
    let n_signals = std::env::var("MC_SIGNALS").map_or(N_SIGNALS, |text| text.parse().unwrap());
    // Building would take minutes, so an exit code of success means that the signal was ignored.
    let sandbox = Sandbox::warm_gguf();
    sandbox.repeat_evaluation(MINUTES);
    let mut random = Random(31);
    for _ in 0..n_signals {
        let mut command = sandbox.command(&["build", BUNDLE]);
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_micros(random.below(60_000) as u64));
        // The only one of the three signals that shells never make their children ignore.
        signal(&child, "-TERM");
        let ended = end(child);
        // Before `main` runs, the signal itself ends the process.
        assert!(matches!(ended, Ok(8) | Err(15)), "{ended:?}");
        assert!(sandbox.files("mc-out").is_empty());
    }
    // The store is intact.
    assert_eq!(sandbox.build(&[GGUF]).digests(), Template::get().gguf.digests());
}

#[test]
fn a_command_without_a_build_ends_as_interrupted_too() {
    let sandbox = Sandbox::new();
    let file = sandbox.dir().join("model.gguf");
    fs::write(&file, &Template::get().gguf_files[0].1).unwrap();
    // It waits for a prompt that never arrives.
    let mut command = sandbox.command(&["run", file.to_str().unwrap()]);
    let child = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(1500));
    signal(&child, "-TERM");
    assert_eq!(end(child), Ok(8));
}

#[test]
fn under_nohup_a_hangup_is_ignored() {
    let sandbox = Sandbox::new();
    // A signal that comes before the shell ignores it would end the shell.
    let mut command = sandbox.shell("trap '' HUP; echo ready", &["query", "//..."]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    drop(child.stdin.take());
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    stdout.read_line(&mut String::new()).unwrap();
    for _ in 0..20 {
        // The process may have ended already.
        drop(Command::new("kill").args(["-HUP", &child.id().to_string()]).stderr(Stdio::null()).status());
        std::thread::sleep(Duration::from_millis(5));
    }
    let mut listed = String::new();
    stdout.read_to_string(&mut listed).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert!(!listed.is_empty());
}

#[test]
fn opened_files_never_take_the_place_of_a_closed_standard_stream() {
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
        // The file exists already: an error that cannot be reported, and that must not end up in a file.
        run(&mut sandbox.shell(closed, &arguments)).exits(1);
        assert_eq!(fs::read_to_string(sandbox.path("new.kdl")).unwrap(), expected, "{closed}");
        fs::remove_file(sandbox.path("new.kdl")).unwrap();
        run(&mut sandbox.shell(closed, &["build", GGUF])).exits(0);
        assert_eq!(sandbox.files("mc-out"), Template::get().gguf_files, "{closed}");
        run(&mut sandbox.shell(closed, &["cache", "verify"])).exits(0);
    }
}
