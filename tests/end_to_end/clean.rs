//! `mc clean` during builds: it succeeds, and each build succeeds or ends in one error with the reason; no result is
//! wrong.

use std::fs;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crate::random::Random;
use crate::sandbox::{GGUF, Ran, Sandbox, Template, run};

/// Number of builds per process; set `MC_CLEANS` to change it.
const N_BUILDS: usize = 3;

/// Number of processes that build in parallel.
const N_BUILDERS: usize = 3;

/// Checks a build during a `clean`: it was complete, or ended in one error with the reason that is not reported as a
/// bug.
#[track_caller]
fn check(ran: &Ran) {
    match ran.code {
        Some(0) => {
            let expected = Template::get().gguf.document["targets"][0]["outputs"].clone();
            assert_eq!(ran.json()["targets"][0]["outputs"], expected, "{ran:?}");
        }
        Some(1) => {
            // One step runs at a time, so one fails.
            let document = ran.json();
            let errors = document["errors"].as_array().unwrap();
            let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
            assert_eq!(errors.len(), 1, "{document}");
            assert!(
                errors[0].contains("No such file") || errors[0].contains("missing from the store"),
                "{errors:?}"
            );
        }
        _ => panic!("{ran:?}"),
    }
}

#[test]
fn builds_and_cleans_run_in_parallel() {
    let n_builds = std::env::var("MC_CLEANS").map_or(N_BUILDS, |text| text.parse().unwrap());
    let sandbox = Sandbox::warm_gguf();
    let build = ["build", "--jobs", "1", "--output", "json", GGUF];
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        // Outputs often, the store rarely enough for some builds to complete.
        let cleans = [(&["clean"][..], 200), (&["clean", "--cache", "--yes"], 6_000)];
        let cleans = cleans.map(|(arguments, most_millis)| {
            let (sandbox, is_over) = (&sandbox, &is_over);
            scope.spawn(move || {
                let mut random = Random(most_millis as u64);
                let mut n_cleans = 0;
                while !is_over.load(Ordering::Relaxed) {
                    sandbox.mc(arguments).exits(0);
                    n_cleans += 1;
                    thread::sleep(Duration::from_millis(random.below(most_millis) as u64));
                }
                n_cleans
            })
        });
        let builder = || (0..n_builds).for_each(|_| check(&sandbox.mc(&build)));
        let builders: Vec<_> = (0..N_BUILDERS).map(|_| scope.spawn(builder)).collect();
        let ended: Vec<_> = builders.into_iter().map(std::thread::ScopedJoinHandle::join).collect();
        is_over.store(true, Ordering::Relaxed);
        assert!(cleans.into_iter().all(|clean| clean.join().unwrap() > 1));
        // A builder's panic is raised after the others have ended.
        ended.into_iter().for_each(Result::unwrap);
    });
    // Without parallel processes, the build gives the same result as before.
    assert_eq!(sandbox.build(&[GGUF]).digests(), Template::get().gguf.digests());
    assert_eq!(sandbox.files("mc-out"), Template::get().gguf_files);
    sandbox.mc(&["cache", "verify"]).exits(0);
    let left = |folder: &std::path::Path| {
        let names =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.starts_with(".mc-removed-")).count()
    };
    assert_eq!((left(&sandbox.workspace), left(&sandbox.cache)), (0, 0));
}

#[test]
fn leftovers_of_a_killed_clean_are_removed_by_the_next_one() {
    let sandbox = Sandbox::warm_gguf();
    let aside = sandbox.path(".mc-removed-1-0/mc-out");
    fs::create_dir_all(&aside).unwrap();
    fs::write(aside.join("file"), "").unwrap();
    let outside = sandbox.dir().join("outside");
    fs::create_dir_all(&outside).unwrap();
    fs::write(outside.join("thesis.txt"), "").unwrap();
    std::os::unix::fs::symlink(&outside, aside.join("link")).unwrap();
    std::os::unix::fs::symlink(&outside, sandbox.path("mc-out")).unwrap();
    std::os::unix::fs::symlink(&outside, sandbox.path(".mc-removed-2-0")).unwrap();
    let ran = sandbox.mc(&["clean", "--cache", "--yes"]).exits(0);
    assert!(ran.stdout.contains("mc-out"), "{}", ran.stdout);
    assert!(outside.join("thesis.txt").exists());
    let names: Vec<_> = fs::read_dir(&sandbox.workspace)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.contains("mc-"))
        .collect();
    assert_eq!(names, [""; 0]);
    assert_eq!(fs::read_dir(&sandbox.cache).unwrap().count(), 1, "`VERSION` alone");
}

#[test]
fn outputs_that_cannot_be_moved_are_removed_in_place() {
    let sandbox = Sandbox::warm_gguf();
    sandbox.build(&[GGUF]);
    let disk = crate::disk_full::SmallDisk::mount(&sandbox.path("mc-out"), "8m");
    let Some(disk) = disk else { return };
    sandbox.build(&[GGUF]);
    // The mount point itself remains, which is reported.
    let ran = run(sandbox.command(&["clean"]).stdin(Stdio::null()));
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(sandbox.files("mc-out").is_empty());
    drop(disk);
    sandbox.mc(&["clean"]).exits(0);
    assert!(!sandbox.path("mc-out").exists());
}
