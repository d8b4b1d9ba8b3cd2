//! A copy of the demo workspace with a store of its own, and the real binary run in it.
//!
//! A full build runs once per test run; a warm sandbox starts with a copy of the resulting store. This module expects
//! only one thing: a build by [`Sandbox::build`] succeeds.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use serde_json::Value;
use tempfile::TempDir;

/// The whole pipeline: imatrix, tensors, container, gates and bundle.
pub(crate) const BUNDLE: &str = "//models:roadtrip-q4km-ios";

/// The fast part of it, without gates.
pub(crate) const GGUF: &str = "//models:roadtrip-q4km-ios.gguf";

/// Number of repetitions of the evaluation texts with which measuring takes minutes, in any build profile.
pub(crate) const MINUTES: usize = 200;

/// The demo workspace in a temporary folder.
pub(crate) struct Sandbox {
    dir: TempDir,
    /// The root of the workspace.
    pub(crate) workspace: PathBuf,
    /// The folder of the store.
    pub(crate) cache: PathBuf,
}

/// Result of a run of `mc`.
#[derive(Clone, Debug)]
pub(crate) struct Ran {
    /// The exit code; `None` if a signal ended it.
    pub(crate) code: Option<i32>,
    /// The result.
    pub(crate) stdout: String,
    /// Progress, warnings and errors.
    pub(crate) stderr: String,
}

impl Ran {
    /// The JSON document on stdout.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The errors on stderr, each with its continuation lines.
    pub(crate) fn errors(&self) -> Vec<String> {
        let mut errors: Vec<String> = Vec::new();
        for line in self.stderr.lines() {
            if line.starts_with("error") {
                errors.push(String::new());
            } else if !line.starts_with(' ') {
                continue;
            }
            if let Some(error) = errors.last_mut() {
                error.push_str(line);
                error.push('\n');
            }
        }
        errors
    }

    /// Returns the run, and asserts that it ended with this exit code.
    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{}\n{}", self.stdout, self.stderr);
        self
    }
}

/// The report of a build.
#[derive(Clone, Debug)]
pub(crate) struct Built {
    /// The JSON document of `mc build`.
    pub(crate) document: Value,
    /// Its stderr.
    pub(crate) stderr: String,
}

impl Built {
    /// Number of actions that ran.
    pub(crate) fn n_ran(&self) -> u64 {
        self.document["actions"]["ran"].as_u64().unwrap()
    }

    /// Number of actions that were hits.
    pub(crate) fn n_hits(&self) -> u64 {
        self.document["actions"]["hits"].as_u64().unwrap()
    }

    /// The actions that ran, such as `gguf 1, tensor 38`.
    pub(crate) fn ran_by_kind(&self) -> String {
        let kinds = self.document["actions"]["ran_by_kind"].as_object().unwrap();
        kinds.iter().map(|(kind, count)| format!("{kind} {count}")).collect::<Vec<_>>().join(", ")
    }

    /// Path, size and digest of every output of every target, one per line.
    pub(crate) fn digests(&self) -> String {
        let targets = self.document["targets"].as_array().unwrap().iter();
        let outputs = targets.flat_map(|target| target["outputs"].as_array().unwrap());
        outputs.map(|output| format!("{output}\n")).collect()
    }
}

impl Sandbox {
    /// The demo with an empty store.
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let workspace = dir.path().join("workspace");
        copy_demo(&workspace);
        Self { workspace, cache: dir.path().join("cache"), dir }
    }

    /// The demo with the store of a finished build of [`BUNDLE`].
    pub(crate) fn warm() -> Self {
        let sandbox = Self::new();
        copy(&Template::get().cache, &sandbox.cache);
        sandbox
    }

    /// The demo with the store of a finished build of [`GGUF`].
    pub(crate) fn warm_gguf() -> Self {
        let sandbox = Self::new();
        copy(&Template::get().gguf_cache, &sandbox.cache);
        sandbox
    }

    /// The folder with workspace and store.
    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// A command line of `mc` in the workspace, with the sandbox's store.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = mc();
        command.arg("--cache-dir").arg(&self.cache).args(arguments).current_dir(&self.workspace);
        command
    }

    /// The same, run by a shell after the given shell commands.
    pub(crate) fn shell(&self, commands: &str, arguments: &[&str]) -> Command {
        let inner = self.command(arguments);
        let mut command = Command::new("sh");
        command.arg("-c").arg(format!("{commands}; exec \"$@\"")).arg("sh");
        command.arg(inner.get_program()).args(inner.get_args()).current_dir(&self.workspace);
        command.env_remove("MC_CACHE_DIR").env_remove("NO_COLOR").stdin(Stdio::null());
        command
    }

    /// Runs `mc` in the workspace.
    pub(crate) fn mc(&self, arguments: &[&str]) -> Ran {
        run(&mut self.command(arguments))
    }

    /// Builds targets, which must succeed.
    #[track_caller]
    pub(crate) fn build(&self, arguments: &[&str]) -> Built {
        let ran = self.mc(&[&["build", "--output", "json"], arguments].concat()).exits(0);
        Built { document: ran.json(), stderr: ran.stderr }
    }

    /// A file or folder of the workspace.
    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.workspace.join(path)
    }

    /// Replaces the only occurrence of `from` in a text of the workspace.
    #[track_caller]
    pub(crate) fn edit(&self, path: &str, from: &str, to: &str) {
        let text = fs::read_to_string(self.path(path)).unwrap();
        assert_eq!(text.matches(from).count(), 1, "`{from}` in {path}");
        fs::write(self.path(path), text.replace(from, to)).unwrap();
    }

    /// Repeats the texts on which gates measure.
    pub(crate) fn repeat_evaluation(&self, n_times: usize) {
        for path in files_below(&self.path("models/data/evaluation")) {
            let text = fs::read_to_string(&path).unwrap();
            fs::write(&path, text.repeat(n_times)).unwrap();
        }
    }

    /// Every file below a folder of the workspace with its bytes, ordered by name.
    pub(crate) fn files(&self, folder: &str) -> Vec<(String, Vec<u8>)> {
        let root = self.path(folder);
        let read = |path: PathBuf| {
            let name = path.strip_prefix(&root).unwrap().display().to_string();
            (name, fs::read(path).unwrap())
        };
        // The mark by which `mc-out` is known as ours is not an output.
        let is_output = |path: &PathBuf| !path.ends_with("CACHEDIR.TAG");
        files_below(&root).into_iter().filter(is_output).map(read).collect()
    }
}

/// The store and the digests of one full build, shared by all tests of this run.
pub(crate) struct Template {
    cache: PathBuf,
    gguf_cache: PathBuf,
    /// The build of [`GGUF`] on an empty store.
    pub(crate) gguf: Built,
    /// The resulting files below `mc-out`.
    pub(crate) gguf_files: Vec<(String, Vec<u8>)>,
    /// The build of [`BUNDLE`] after it, in another folder.
    pub(crate) bundle: Built,
    /// The resulting files below `mc-out`.
    pub(crate) bundle_files: Vec<(String, Vec<u8>)>,
    // A parallel run of these tests waits for it.
    _lock: File,
}

impl Template {
    pub(crate) fn get() -> &'static Self {
        static TEMPLATE: OnceLock<Template> = OnceLock::new();
        TEMPLATE.get_or_init(Self::make)
    }

    fn make() -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let lock = File::create(folder.join("end_to_end.lock")).unwrap();
        lock.lock().unwrap();
        let cache = folder.join("end_to_end-cache");
        let gguf_cache = folder.join("end_to_end-gguf-cache");
        for stale in [&cache, &gguf_cache] {
            drop(fs::remove_dir_all(stale));
        }
        let sandbox = Sandbox::new();
        let gguf = sandbox.build(&[GGUF]);
        let gguf_files = sandbox.files("mc-out");
        copy(&sandbox.cache, &gguf_cache);
        fs::remove_dir_all(sandbox.path("mc-out")).unwrap();
        let bundle = sandbox.build(&[BUNDLE]);
        let bundle_files = sandbox.files("mc-out");
        copy(&sandbox.cache, &cache);
        Self { cache, gguf_cache, gguf, gguf_files, bundle, bundle_files, _lock: lock }
    }
}

/// The binary without environment variables that it reads.
pub(crate) fn mc() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mc"));
    command.env_remove("MC_CACHE_DIR").env_remove("NO_COLOR").stdin(Stdio::null());
    command
}

/// Runs a command until it ends.
pub(crate) fn run(command: &mut Command) -> Ran {
    let output = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ran { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

/// All files below a folder, ordered by path; none if the folder does not exist.
pub(crate) fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        // A folder may vanish while a build runs in parallel.
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                folders.push(entry.path());
            } else {
                found.push(entry.path());
            }
        }
    }
    found.sort();
    found
}

/// Changes a file's bytes in place; a read-only file stays read-only.
#[track_caller]
pub(crate) fn change_bytes(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let permissions = fs::metadata(path).unwrap().permissions();
    fs::set_permissions(path, fs::Permissions::from_mode(0o644)).unwrap();
    let mut bytes = fs::read(path).unwrap();
    change(&mut bytes);
    fs::write(path, bytes).unwrap();
    fs::set_permissions(path, permissions).unwrap();
}

/// Copies a file, or a folder with its contents; files keep their permissions.
pub(crate) fn copy(from: &Path, to: &Path) {
    if !from.is_dir() {
        fs::copy(from, to).unwrap();
        return;
    }
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        copy(&entry.path(), &to.join(entry.file_name()));
    }
}

fn copy_demo(to: &Path) {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
    fs::create_dir_all(to.join("models")).unwrap();
    for name in
        ["workspace.kdl", "targets", "models/package.kdl", "models/base", "models/adapter", "models/data"]
    {
        copy(&repository.join(name), &to.join(name));
    }
}
