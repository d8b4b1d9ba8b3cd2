//! Two users with one store. Only root can switch users; for other users these tests do nothing.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::sandbox::{BUNDLE, GGUF, Ran, Sandbox, copy, files_below, run};

const ANNA: u32 = 50_001;
const BERT: u32 = 50_002;
/// The group of both.
const TEAM: u32 = 50_100;

/// A folder with a store, and a workspace for each user.
struct Machine {
    sandbox: Sandbox,
    mc: PathBuf,
}

impl Machine {
    /// `None` unless the tests run as root.
    fn new() -> Option<Self> {
        let sandbox = Sandbox::new();
        if fs::metadata(sandbox.dir()).unwrap().uid() != 0 {
            return None;
        }
        // Both users need access to the folder, and must be able to run the binary, which may be in a private folder.
        fs::set_permissions(sandbox.dir(), Permissions::from_mode(0o755)).unwrap();
        let mc = sandbox.dir().join("mc");
        fs::copy(env!("CARGO_BIN_EXE_mc"), &mc).unwrap();
        for user in [ANNA, BERT] {
            let workspace = sandbox.dir().join(user.to_string());
            copy(&sandbox.workspace, &workspace);
            give(&workspace, user);
        }
        Some(Self { sandbox, mc })
    }

    fn store(&self) -> &Path {
        &self.sandbox.cache
    }

    /// Creates the store's folder.
    fn make_store(&self, user: u32, mode: u32) {
        fs::create_dir(self.store()).unwrap();
        chown(self.store(), Some(user), Some(TEAM)).unwrap();
        fs::set_permissions(self.store(), Permissions::from_mode(mode)).unwrap();
    }

    /// Runs `mc` as a user with this umask.
    fn mc(&self, user: u32, mask: &str, arguments: &[&str]) -> Ran {
        let mut command = Command::new("sh");
        let masked = format!("umask {mask}; exec \"$@\"");
        command
            .args(["-c", &masked, "sh"])
            .arg(&self.mc)
            .arg("--cache-dir")
            .arg(self.store())
            .args(arguments);
        command.current_dir(self.sandbox.dir().join(user.to_string()));
        command.env_clear().env("PATH", "/usr/bin:/bin").stdin(Stdio::null()).uid(user).gid(TEAM);
        run(&mut command)
    }

    fn files(&self, user: u32) -> Vec<Vec<u8>> {
        let out = self.sandbox.dir().join(user.to_string()).join("mc-out");
        files_below(&out).into_iter().map(|path| fs::read(path).unwrap()).collect()
    }
}

fn give(folder: &Path, user: u32) {
    chown(folder, Some(user), Some(TEAM)).unwrap();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            give(&path, user);
        } else {
            chown(&path, Some(user), Some(TEAM)).unwrap();
        }
    }
}

#[test]
fn the_store_of_another_user_provides_its_results() {
    let Some(machine) = Machine::new() else { return };
    machine.make_store(ANNA, 0o755);
    machine.mc(ANNA, "022", &["build", GGUF]).exits(0);
    let ran = machine.mc(BERT, "022", &["build", GGUF]).exits(0);
    assert!(ran.stderr.contains("41 hits, 0 ran"), "{}", ran.stderr);
    assert_eq!(machine.files(ANNA), machine.files(BERT));
    // A missing result cannot be stored: one error, and the store is unchanged.
    let n_files = files_below(machine.store()).len();
    let errors = machine.mc(BERT, "022", &["build", BUNDLE]).exits(1).errors();
    assert_eq!(errors.len(), 1, "{errors:#?}");
    assert!(errors[0].contains("Permission denied") && errors[0].contains("permissions"), "{errors:#?}");
    assert_eq!(files_below(machine.store()).len(), n_files);
    machine.mc(BERT, "022", &["clean", "--cache", "--yes"]).exits(1);
    assert_eq!(files_below(machine.store()).len(), n_files);
}

#[test]
fn the_store_of_a_group_is_shared() {
    let Some(machine) = Machine::new() else { return };
    machine.make_store(ANNA, 0o2775);
    machine.mc(ANNA, "002", &["build", GGUF]).exits(0);
    let ran = machine.mc(BERT, "002", &["build", BUNDLE]).exits(0);
    assert!(ran.stderr.contains("hits"), "{}", ran.stderr);
    let ran = machine.mc(ANNA, "002", &["build", BUNDLE]).exits(0);
    assert!(ran.stderr.contains(" hits, 0 ran"), "{}", ran.stderr);
    machine.mc(BERT, "002", &["cache", "verify"]).exits(0);
    // A rotted blob of Anna's is set aside for Bert, too, and remade.
    let blob = files_below(&machine.store().join("cas")).pop().unwrap();
    crate::sandbox::change_bytes(&blob, |bytes| bytes[0] ^= 1);
    machine.mc(BERT, "002", &["build", BUNDLE]).exits(0);
    let ran = machine.mc(ANNA, "002", &["build", BUNDLE]).exits(0);
    assert!(ran.stderr.contains(" hits, 0 ran"), "{}", ran.stderr);
}
