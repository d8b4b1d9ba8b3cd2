//! A command that runs in parallel to the test.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::sandbox::Sandbox;

/// A command that runs in parallel to the test, with its stderr.
pub(crate) struct Background {
    pub(crate) child: Child,
    log: std::path::PathBuf,
}

impl Background {
    pub(crate) fn start(sandbox: &Sandbox, arguments: &[&str]) -> Self {
        let log = sandbox.dir().join("stderr");
        let mut command = sandbox.command(arguments);
        // Each action has a line.
        command.arg("--verbose");
        let child = command.stdout(Stdio::null()).stderr(File::create(&log).unwrap()).spawn().unwrap();
        Self { child, log }
    }

    /// Its stderr so far.
    pub(crate) fn reported(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    /// The actions reported as finished.
    pub(crate) fn steps(&self) -> BTreeSet<String> {
        steps(&self.reported())
    }

    /// Waits until at least this many actions have finished.
    #[track_caller]
    pub(crate) fn wait_for_steps(&mut self, n_steps: usize) {
        self.wait_until(|build| build.steps().len() >= n_steps);
    }

    #[track_caller]
    fn wait_until(&mut self, is_so: impl Fn(&Self) -> bool) {
        while !is_so(self) {
            assert_eq!(self.child.try_wait().unwrap(), None, "the build ended too early");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits until gates are being measured on a text that was not measured before.
    #[track_caller]
    pub(crate) fn wait_for_measuring(&mut self) {
        // The text is read and reported first; then the model is loaded.
        self.wait_until(|build| build.has_done("dataset    //models:evaluation"));
        std::thread::sleep(Duration::from_millis(500));
    }

    /// Returns true if an action whose line begins with this text was reported as finished.
    pub(crate) fn has_done(&self, beginning: &str) -> bool {
        self.steps().iter().any(|step| step.starts_with(beginning))
    }

    /// Sends the signal of Ctrl-C.
    #[track_caller]
    pub(crate) fn interrupt(&self) {
        self.signal("-INT");
    }

    /// Sends a signal, such as `-TERM`.
    #[track_caller]
    pub(crate) fn signal(&self, signal: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
    }
}

/// The actions in the progress of a build: each line without its time. Skips truncated lines.
pub(crate) fn steps(stderr: &str) -> BTreeSet<String> {
    let lines = stderr.split_inclusive('\n').filter(|line| line.ends_with(" s)\n"));
    lines.filter_map(|line| line.rsplit_once("  (")).map(|(step, _)| step.to_owned()).collect()
}
