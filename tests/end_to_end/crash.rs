//! Builds that are killed, interrupted or run in parallel: finished actions are kept, and partial files never appear.

use std::collections::BTreeSet;
use std::fs;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use crate::background::{Background, steps};
use crate::random::Random;
use crate::sandbox::{BUNDLE, GGUF, MINUTES, Sandbox, Template};

/// Number of builds that are killed; set `MC_KILLS` to change it.
const N_KILLS: usize = 12;

#[test]
fn killed_builds_lose_no_finished_action_and_leave_no_partial_files() {
    let n_kills = std::env::var("MC_KILLS").map_or(N_KILLS, |text| text.parse().unwrap());
    let template = Template::get();
    let n_steps = template.gguf.n_ran() as usize;
    let mut random = Random(20);
    let mut n_killed = 0;
    while n_killed < n_kills {
        let sandbox = Sandbox::new();
        let mut done = BTreeSet::new();
        // The kill comes at a random moment of the remaining time; the build of the last round is not killed.
        let mut left = time_of_a_build(&sandbox);
        while n_killed < n_kills {
            let mut build = Background::start(&sandbox, &["build", GGUF]);
            std::thread::sleep(left.mul_f64(random.below(1000) as f64 / 1000.0));
            build.child.kill().unwrap();
            let is_whole = build.child.wait().unwrap().success();
            n_killed += 1;
            let again: Vec<_> = done.intersection(&build.steps()).cloned().collect();
            assert!(again.is_empty(), "had finished before the kill and ran again: {again:?}");
            done.extend(build.steps());
            for file in sandbox.files("mc-out") {
                assert!(template.gguf_files.contains(&file), "{} is not whole", file.0);
            }
            if is_whole || done.len() == n_steps {
                // Now the outputs are published, within milliseconds.
                left = Duration::from_millis(40);
                drop(fs::remove_dir_all(sandbox.path("mc-out")));
                if random.below(4) == 0 {
                    break;
                }
            }
        }
        let built = sandbox.build(&["--verbose", GGUF]);
        let again: Vec<_> = done.intersection(&steps(&built.stderr)).cloned().collect();
        assert!(again.is_empty(), "had finished before the kill and ran again: {again:?}");
        assert_eq!(built.digests(), template.gguf.digests());
        assert_eq!(sandbox.files("mc-out"), template.gguf_files);
        assert!(!sandbox.cache.join("tmp").exists(), "unfinished files were left behind");
    }
}

/// Measures the duration of a build on this machine.
fn time_of_a_build(sandbox: &Sandbox) -> Duration {
    let start = Instant::now();
    let store = sandbox.dir().join("measured");
    sandbox.build(&["--cache-dir", store.to_str().unwrap(), GGUF]);
    fs::remove_dir_all(sandbox.path("mc-out")).unwrap();
    start.elapsed()
}

/// Builds in all of these workspaces in parallel; all builds must succeed.
#[track_caller]
fn build_at_once(sandboxes: &[&Sandbox]) {
    let arguments = ["build", "--output", "json", GGUF];
    let spawn = |sandbox: &&Sandbox| {
        sandbox.command(&arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let running: Vec<Child> = sandboxes.iter().map(spawn).collect();
    for child in running {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn two_parallel_builds_share_a_store() {
    let (here, mut there) = (Sandbox::new(), Sandbox::new());
    there.cache = here.cache.clone();
    // Two builds in one workspace and one in another.
    build_at_once(&[&here, &here, &there]);
    // Builds with only hits reach the publication of outputs at the same moment.
    for _ in 0..10 {
        fs::remove_dir_all(here.path("mc-out")).unwrap();
        build_at_once(&[&here; 4]);
    }
    let template = Template::get();
    for sandbox in [&here, &there] {
        let built = sandbox.build(&[GGUF]);
        assert_eq!(built.n_ran(), 0);
        assert_eq!(built.digests(), template.gguf.digests());
        assert_eq!(sandbox.files("mc-out"), template.gguf_files);
    }
    assert!(!here.cache.join("tmp").exists(), "unfinished files were left behind");
}

#[test]
fn an_interrupt_has_its_own_exit_code_and_keeps_finished_actions() {
    let sandbox = Sandbox::new();
    let mut build = Background::start(&sandbox, &["build", GGUF]);
    build.wait_for_steps(3);
    build.interrupt();
    assert_eq!(build.child.wait().unwrap().code(), Some(8));
    let log = build.reported();
    assert!(log.contains("interrupted: every action that had finished is kept"), "{log}");
    assert!(sandbox.files("mc-out").is_empty());
    assert!(!sandbox.cache.join("tmp").exists(), "unfinished files were left behind");

    let done = build.steps();
    let built = sandbox.build(&["--verbose", GGUF]);
    assert!(done.is_disjoint(&steps(&built.stderr)));
    assert_eq!(built.n_hits(), done.len() as u64);
    assert_eq!(built.digests(), Template::get().gguf.digests());
}

#[test]
fn an_interrupt_does_not_wait_for_measurements() {
    let sandbox = Sandbox::warm_gguf();
    sandbox.repeat_evaluation(MINUTES);
    let mut build = Background::start(&sandbox, &["build", BUNDLE]);
    build.wait_for_measuring();
    build.interrupt();
    assert_eq!(build.child.wait().unwrap().code(), Some(8));
    let log = build.reported();
    assert!(log.contains("interrupted: every action that had finished is kept"), "{log}");
    assert!(!build.has_done("perplexity"), "{log}");
}
