//! A child process that reads one request and writes lines: limited in time and length, and stopped with its action.
//!
//! It may write anything: lines that are too long end the reading, and what it writes to stderr is only quoted if it
//! fails.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use mc_ir::action::ActionError;

/// Interval between checks for cancellation.
const PAUSE: Duration = Duration::from_millis(50);

/// Number of bytes of stderr that are kept: its end.
const MAX_STDERR: usize = 2000;

/// Limits of a process.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Longest time between two lines.
    pub(crate) silence: Duration,
    /// Maximum number of bytes of all lines.
    pub(crate) n_bytes: u64,
}

/// A running process; it is killed when it is dropped.
pub(crate) struct Process {
    child: Child,
    lines: Receiver<std::io::Result<String>>,
    /// The end of its stderr, and the thread that reads it.
    stderr: (Arc<Mutex<Vec<u8>>>, JoinHandle<()>),
    limits: Limits,
}

impl Process {
    /// Starts a program.
    ///
    /// * `folder`: its current folder; the one of this process if `None`
    /// * `request`: the text for its stdin
    ///
    /// # Errors
    /// If it cannot be started.
    pub(crate) fn start(
        program: &Path,
        arguments: &[String],
        folder: Option<&Path>,
        request: &str,
        limits: Limits,
    ) -> std::io::Result<Self> {
        let mut command = Command::new(program);
        command.args(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        if let Some(folder) = folder {
            command.current_dir(folder);
        }
        let mut child = command.spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            let request = request.to_owned();
            // A process may end without reading its request; then writing fails, and its end is reported.
            thread::spawn(move || drop(stdin.write_all(request.as_bytes())));
        }
        let (sender, lines) = channel();
        let stdout = child.stdout.take();
        thread::spawn(move || {
            let Some(stdout) = stdout else { return };
            for line in BufReader::new(stdout.take(limits.n_bytes)).lines() {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let stderr = Arc::new(Mutex::new(Vec::new()));
        let (kept, source) = (Arc::clone(&stderr), child.stderr.take());
        let reader = thread::spawn(move || {
            if let Some(source) = source {
                keep_end(source, &kept);
            }
        });
        Ok(Self { child, lines, stderr: (stderr, reader), limits })
    }

    /// Waits for the next line; `None` if there is none.
    ///
    /// * `go_on`: called often; an error ends the wait
    ///
    /// # Errors
    /// That of `go_on`; or if the process is silent for too long, or writes something other than text.
    pub(crate) fn line(
        &mut self,
        go_on: &mut dyn FnMut() -> Result<(), ActionError>,
    ) -> Result<Option<String>, ActionError> {
        let start = Instant::now();
        loop {
            match self.lines.recv_timeout(PAUSE) {
                Ok(Ok(line)) => return Ok(Some(line)),
                Ok(Err(error)) => return Err(ActionError::failed(format!("it wrote no text: {error}"))),
                Err(RecvTimeoutError::Disconnected) => return Ok(None),
                Err(RecvTimeoutError::Timeout) => go_on()?,
            }
            if start.elapsed() > self.limits.silence {
                let seconds = self.limits.silence.as_secs_f32();
                return Err(ActionError::failed(format!("it said nothing for {seconds} s")));
            }
        }
    }

    /// Describes the end of a process that has written its last line.
    pub(crate) fn ending(&mut self) -> String {
        let (stderr, reader) = &self.stderr;
        // It may have closed its stdout long before its end, and a process that it started may keep its stderr open.
        let end = Instant::now() + Duration::from_secs(5);
        let status = loop {
            match self.child.try_wait() {
                Ok(Some(status)) if reader.is_finished() => break format!("it ended with {status}"),
                Ok(_) if Instant::now() < end => thread::sleep(Duration::from_millis(5)),
                Ok(Some(status)) => break format!("it ended with {status}"),
                Ok(None) => break "it did not end".to_owned(),
                Err(error) => break format!("it cannot be waited for: {error}"),
            }
        };
        let stderr = stderr.lock().unwrap_or_else(PoisonError::into_inner);
        let text = String::from_utf8_lossy(&stderr);
        let last = text.lines().rev().find(|line| !line.trim().is_empty());
        last.map_or(status.clone(), |line| format!("{status}: {}", line.trim()))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already; its status does not matter here.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Reads everything, and keeps the end.
fn keep_end(mut source: impl Read, kept: &Mutex<Vec<u8>>) {
    let mut buffer = [0; 4096];
    while let Ok(n_bytes @ 1..) = source.read(&mut buffer) {
        let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.extend_from_slice(&buffer[..n_bytes]);
        let n_surplus = kept.len().saturating_sub(MAX_STDERR);
        kept.drain(..n_surplus);
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn started(script: &str, silence: Duration, n_bytes: u64) -> Process {
        let arguments = ["-c".to_owned(), script.to_owned()];
        let limits = Limits { silence, n_bytes };
        Process::start(Path::new("/bin/sh"), &arguments, None, "a request", limits).unwrap()
    }

    fn go_on() -> impl FnMut() -> Result<(), ActionError> {
        || Ok(())
    }

    const LONG: Duration = Duration::from_secs(30);

    #[test]
    fn lines_come_one_by_one_and_the_end_is_described() {
        let mut process = started("cat; echo; echo two; echo bad >&2; exit 3", LONG, 100);
        assert_eq!(process.line(&mut go_on()).unwrap().as_deref(), Some("a request"));
        assert_eq!(process.line(&mut go_on()).unwrap().as_deref(), Some("two"));
        assert_eq!(process.line(&mut go_on()).unwrap(), None);
        assert_eq!(process.ending(), "it ended with exit status: 3: bad");
    }

    #[test]
    fn a_silent_process_is_stopped() {
        let mut process = started("sleep 60", Duration::from_millis(100), 100);
        let error = process.line(&mut go_on()).unwrap_err();
        assert_eq!(error.to_string(), "it said nothing for 0.1 s");
    }

    #[test]
    fn a_cancelled_action_does_not_wait() {
        let mut process = started("sleep 60", LONG, 100);
        let cancelled = process.line(&mut || Err(ActionError::Cancelled)).unwrap_err();
        assert!(matches!(cancelled, ActionError::Cancelled));
        let start = Instant::now();
        drop(process);
        assert!(start.elapsed() < Duration::from_secs(10), "it was killed");
    }

    #[test]
    fn an_endless_line_is_cut() {
        let mut process = started("yes | tr -d '\\n'", LONG, 50);
        assert_eq!(process.line(&mut go_on()).unwrap().unwrap(), "y".repeat(50));
        assert_eq!(process.line(&mut go_on()).unwrap(), None);
    }
}
