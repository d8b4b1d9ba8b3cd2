//! Nothing outside the store and `mc-out` is written or removed, regardless of the content of a repository or a store.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::disk_full::SmallDisk;
use crate::sandbox::{BUNDLE, GGUF, Sandbox, files_below, run};

/// A user's folder beside the workspace and the store.
struct Home(PathBuf);

impl Home {
    fn beside(sandbox: &Sandbox) -> Self {
        let home = sandbox.dir().join("home");
        for folder in ["models/roadtrip-q4km-ios.gguf", "session-notes", "ab"] {
            fs::create_dir_all(home.join(folder)).unwrap();
            fs::write(home.join(folder).join("thesis.txt"), "years of work").unwrap();
        }
        fs::write(home.join("thesis.txt"), "years of work").unwrap();
        Self(home)
    }

    #[track_caller]
    fn assert_untouched(&self, what: &str) {
        let files = files_below(&self.0);
        assert_eq!(files.len(), 4, "{what}: {files:?}");
        for file in files {
            assert_eq!(fs::read_to_string(file).unwrap(), "years of work", "{what}");
        }
    }
}

/// Replaces a path by a link to the home folder.
fn plant(home: &Home, link: &Path) {
    if link.is_dir() {
        fs::remove_dir_all(link).unwrap();
    } else {
        drop(fs::remove_file(link));
    }
    fs::create_dir_all(link.parent().unwrap()).unwrap();
    symlink(&home.0, link).unwrap();
}

#[test]
fn a_link_on_the_path_of_outputs_is_an_error_that_names_it() {
    for link in ["mc-out", "mc-out/models", "mc-out/models/roadtrip-q4km-ios.gguf"] {
        let sandbox = Sandbox::warm_gguf();
        let home = Home::beside(&sandbox);
        sandbox.build(&[GGUF]);
        plant(&home, &sandbox.path(link));
        let ran = sandbox.mc(&["build", GGUF]).exits(1);
        let errors = ran.errors();
        assert_eq!(errors.len(), 1, "{errors:#?}");
        assert!(errors[0].contains(&format!("{link}` is a symbolic link to")), "{errors:#?}");
        assert!(errors[0].contains("remove the link"), "{errors:#?}");
        home.assert_untouched(link);
        // `mc clean` removes the link itself.
        sandbox.mc(&["clean"]).exits(0);
        home.assert_untouched(link);
    }
}

#[test]
fn a_link_in_place_of_unfinished_outputs_is_an_error_that_names_it() {
    let mut sandbox = Sandbox::warm_gguf();
    let home = Home::beside(&sandbox);
    // Unfinished outputs are beside the outputs if the store is on another disk.
    let mount = sandbox.dir().join("disk");
    let Some(_disk) = SmallDisk::mount(&mount, "200m") else { return };
    crate::sandbox::copy(&sandbox.cache, &mount.join("store"));
    sandbox.cache = mount.join("store");
    plant(&home, &sandbox.path("mc-out/.unfinished"));
    let ran = sandbox.mc(&["build", GGUF]).exits(1);
    assert!(ran.stderr.contains("mc-out/.unfinished` is a symbolic link to"), "{}", ran.stderr);
    home.assert_untouched("build");
    fs::remove_file(sandbox.path("mc-out/.unfinished")).unwrap();
    sandbox.build(&[GGUF]);
}

#[test]
fn links_in_a_store_redirect_no_write_and_no_removal() {
    let commands: [&[&str]; 4] =
        [&["cache", "stats"], &["cache", "verify"], &["build", GGUF], &["clean", "--cache", "--yes"]];
    let folders = ["tmp", "cas", "ac", "memo", "memo/inputs", "out", "quarantine", "remote", "fetched"];
    for link in folders {
        let sandbox = Sandbox::warm_gguf();
        let home = Home::beside(&sandbox);
        plant(&home, &sandbox.cache.join(link));
        for command in commands {
            let ran = sandbox.mc(command);
            assert!(matches!(ran.code, Some(0 | 1)), "{link} {command:?}: {ran:?}");
            home.assert_untouched(link);
        }
    }
    for link in ["memo/verified.log", "VERSION"] {
        let sandbox = Sandbox::warm_gguf();
        let home = Home::beside(&sandbox);
        fs::remove_file(sandbox.cache.join(link)).unwrap();
        symlink(home.0.join("thesis.txt"), sandbox.cache.join(link)).unwrap();
        let ran = sandbox.mc(&["build", GGUF]).exits(1);
        assert!(ran.stderr.contains(&format!("{link}` is a symbolic link to")), "{}", ran.stderr);
        home.assert_untouched(link);
    }
}

/// Creates something at a path.
type Make = fn(&Path);

#[test]
fn special_files_in_place_of_store_files_neither_block_nor_fill_the_memory() {
    let pipe = |path: &Path| assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
    let sparse = |path: &Path| fs::File::create(path).unwrap().set_len(4 << 40).unwrap();
    let zero = |path: &Path| symlink("/dev/zero", path).unwrap();
    let dangling = |path: &Path| symlink("nowhere", path).unwrap();
    let things: [(&str, Make); 4] =
        [("pipe", pipe), ("sparse file", sparse), ("device", zero), ("dangling link", dangling)];
    let sandbox = Sandbox::warm_gguf();
    for folder in ["cas", "ac", "memo", "out"] {
        for (what, make) in things {
            let files = files_below(&sandbox.cache.join(folder));
            let file = files.into_iter().rfind(|file| file.symlink_metadata().unwrap().is_file()).unwrap();
            let before = fs::read(&file).unwrap();
            fs::remove_file(&file).unwrap();
            make(&file);
            let mut command = Command::new("sh");
            // A limit on the address space: reading a file without a bound ends the process.
            let limited = "ulimit -v 4000000; exec \"$@\"";
            command.args(["-c", limited, "sh"]).arg(env!("CARGO_BIN_EXE_mc"));
            command
                .arg("--cache-dir")
                .arg(&sandbox.cache)
                .args(["build", GGUF])
                .current_dir(&sandbox.workspace);
            let start = Instant::now();
            let ran = run(&mut command);
            assert!(start.elapsed() < Duration::from_secs(600), "{folder} {what}");
            if ran.code != Some(0) {
                // An entry with a fixed name must not be replaced; then the error names it.
                let ran = ran.exits(1);
                assert!(ran.stderr.contains(&file.display().to_string()), "{folder} {what}: {}", ran.stderr);
            }
            // Entries that were not needed are still there.
            if file.symlink_metadata().is_ok_and(|now| !now.is_file() || now.len() > 1 << 30) {
                fs::remove_file(&file).unwrap();
                fs::write(&file, before).unwrap();
            }
        }
    }
    sandbox.build(&[GGUF]);
}

#[test]
fn a_read_only_store_provides_the_results_that_it_has() {
    let mut sandbox = Sandbox::warm_gguf();
    let mount = sandbox.dir().join("disk");
    let Some(disk) = SmallDisk::mount(&mount, "200m") else { return };
    crate::sandbox::copy(&sandbox.cache, &mount.join("store"));
    sandbox.cache = mount.join("store");
    disk.make_read_only();
    let built = sandbox.build(&[GGUF]);
    assert_eq!(built.n_ran(), 0, "{}", built.stderr);
    assert!(!sandbox.files("mc-out").is_empty());
    sandbox.mc(&["cache", "stats"]).exits(0);
    sandbox.mc(&["cache", "verify"]).exits(0);
    // A missing result cannot be stored, which is reported once.
    let errors = sandbox.mc(&["build", BUNDLE]).exits(1).errors();
    assert_eq!(errors.len(), 1, "{errors:#?}");
    assert!(errors[0].contains("Read-only file system"), "{errors:#?}");
}
