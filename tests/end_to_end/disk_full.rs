//! A disk that fills up during a build: a clear error, no partial files, and a store that works again when there is
//! room.
//!
//! Only root may mount a small disk. Other users get a limit on the size of a file, which fails at the same places.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::sandbox::{BUNDLE, GGUF, Ran, Sandbox, Template, run};

/// An in-memory disk; unmounted when dropped.
pub(crate) struct SmallDisk {
    folder: PathBuf,
}

impl SmallDisk {
    /// Mounts a disk of this size at the folder; `None` if that is not permitted.
    pub(crate) fn mount(folder: &Path, size: &str) -> Option<Self> {
        fs::create_dir_all(folder).unwrap();
        let disk = Self { folder: folder.to_owned() };
        disk.run(&["mount", "-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"]).then_some(disk)
    }

    pub(crate) fn grow(&self, size: &str) {
        assert!(self.run(&["mount", "-o", &format!("remount,size={size}")]));
    }

    pub(crate) fn make_read_only(&self) {
        assert!(self.run(&["mount", "-o", "remount,ro"]));
    }

    fn run(&self, words: &[&str]) -> bool {
        let output = Command::new(words[0]).args(&words[1..]).arg(&self.folder).output();
        output.is_ok_and(|output| output.status.success())
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        self.run(&["umount"]);
    }
}

/// Checks that the build ended in one error that names the full disk, and left no files behind.
#[track_caller]
fn check_error(ran: Ran, sandbox: &Sandbox, expected: &str) {
    let ran = ran.exits(1);
    let errors = ran.errors();
    assert_eq!(errors.len(), 1, "{errors:#?}");
    assert!(errors[0].contains(expected), "{errors:#?}");
    assert!(sandbox.files("mc-out").is_empty());
    assert!(!sandbox.cache.join("tmp").exists(), "unfinished files were left behind");
}

#[test]
fn a_full_store_is_one_error_and_usable_when_there_is_room() {
    let mut sandbox = Sandbox::new();
    let mount = sandbox.dir().join("disk");
    let Some(disk) = SmallDisk::mount(&mount, "2m") else { return };
    sandbox.cache = mount.join("store");
    let ran = sandbox.mc(&["build", "-v", "--jobs", "1", GGUF]);
    check_error(ran.clone(), &sandbox, "The disk is full: could not write");
    let n_done = ran.stderr.lines().filter(|line| line.ends_with(" s)")).count() as u64;
    assert!(n_done > 0);

    // Both parallel actions fail; one of them is reported.
    let ran = sandbox.mc(&["build", "--jobs", "2", GGUF]);
    check_error(ran, &sandbox, "The disk is full: could not write");
    assert!(sandbox.files("mc-out").is_empty());

    disk.grow("64m");
    let built = sandbox.build(&[GGUF]);
    assert!(built.n_hits() >= n_done);
    assert_eq!(built.digests(), Template::get().gguf.digests());
}

#[test]
fn a_store_without_room_for_anything_is_one_error() {
    let mut sandbox = Sandbox::new();
    let mount = sandbox.dir().join("disk");
    let Some(disk) = SmallDisk::mount(&mount, "4k") else { return };
    sandbox.cache = mount.join("store");
    let ran = sandbox.mc(&["build", "--jobs", "1", GGUF]).exits(1);
    assert_eq!(ran.errors().len(), 1, "{}", ran.stderr);

    disk.grow("64m");
    assert_eq!(sandbox.build(&[GGUF]).digests(), Template::get().gguf.digests());
}

#[test]
fn a_full_disk_is_reported_when_results_of_a_remote_cache_fill_it() {
    let maker = Sandbox::new();
    let team = maker.dir().join("team");
    fs::create_dir_all(&team).unwrap();
    let team = format!("--remote-cache=file://{}", team.display());
    maker.build(&[&team, "--remote-upload-local-results", GGUF]);

    let mut user = Sandbox::new();
    let mount = user.dir().join("disk");
    let Some(disk) = SmallDisk::mount(&mount, "1m") else { return };
    user.cache = mount.join("store");
    for options in [&["--remote-download-all"][..], &["--remote-cache-required"]] {
        let ran = user.mc(&[&["build", &team, GGUF], options].concat());
        assert!(!ran.stderr.contains("remote cache") && !ran.stderr.contains("warning:"), "{}", ran.stderr);
        check_error(ran, &user, "The disk is full: could not write");
    }
    disk.grow("64m");
    assert_eq!(user.build(&[&team, GGUF]).n_ran(), 0);
}

#[test]
fn a_full_disk_under_the_outputs_is_one_error() {
    let sandbox = Sandbox::warm();
    let Some(disk) = SmallDisk::mount(&sandbox.path("mc-out"), "1m") else { return };
    check_error(sandbox.mc(&["build", BUNDLE]), &sandbox, "The disk is full: could not write");
    disk.grow("64m");
    assert_eq!(sandbox.build(&[BUNDLE]).n_ran(), 0);
    assert_eq!(sandbox.files("mc-out"), Template::get().bundle_files);
}

#[test]
fn a_file_size_limit_is_one_error_and_the_store_stays_usable() {
    let sandbox = Sandbox::new();
    // The embedding's blob exceeds the limit. Shells count in units of 512 or 1024 bytes.
    let ran = run(&mut sandbox.shell("ulimit -f 400", &["build", "--jobs", "1", GGUF]));
    assert!(ran.stderr.contains("`ulimit -f unlimited`"), "{}", ran.stderr);
    check_error(ran, &sandbox, "Could not write");
    assert_eq!(sandbox.build(&[GGUF]).digests(), Template::get().gguf.digests());
}

#[test]
fn a_file_size_limit_is_reported_for_the_file_with_the_result() {
    let sandbox = Sandbox::new();
    let file = sandbox.dir().join("script");
    let script = format!("ulimit -f 1; exec >'{}'", file.display());
    let ran = run(&mut sandbox.shell(&script, &["completions", "zsh"])).exits(1);
    assert!(ran.errors()[0].contains("Cannot write the result to stdout"), "{}", ran.stderr);
}
