//! Credential helpers: programs that return the headers for an address.
//!
//! The protocol is Bazel's: `HELPER get` reads `{"uri": "https://…"}` on its standard input and writes
//! `{"headers": {"Authorization": ["Bearer …"]}, "expires": "2026-11-21T10:00:00Z"}`. An answer is cached per server
//! until it expires or a server refuses it. Answers without `expires`, and all failures, are cached for the life of the
//! process.
//!
//! Source: <https://github.com/EngFlow/credential-helper-spec>.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError, mpsc};
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::error::Category;

use crate::calendar::rfc_3339;
use crate::error::FetchError;
use crate::lifetime::{Lifetime, Moment};
use crate::secret::Secret;
use crate::secret::header::SecretHeader;
use crate::url::Url;

/// A helper that writes nothing for this long is killed.
const PATIENCE: Duration = Duration::from_secs(10);

/// Limit on the size of an answer.
const MAX_ANSWER: u64 = 1 << 20;

/// Minimum time for which an answer is kept, whatever its expiry: with a wrong clock the helper must not run once per
/// request.
const KEPT: Duration = Duration::from_secs(30);

/// Minimum time between two renewals for a server that keeps refusing the answers.
const RENEWED: Duration = Duration::from_secs(60);

/// A credential helper.
#[derive(Debug)]
pub struct Helper {
    program: PathBuf,
    stall_limit: Duration,
    /// Answers by server. Locked while the helper runs, so that it runs once for all waiting threads.
    answers: Mutex<BTreeMap<String, Known>>,
}

/// A cached answer of the helper about a server.
#[derive(Debug)]
struct Known {
    /// The headers, or a description of the helper's failure.
    said: Result<Vec<SecretHeader>, String>,
    at: Moment,
    lifetime: Option<Lifetime>,
    /// True if the helper ran because a server refused its previous answer.
    is_renewal: bool,
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    headers: BTreeMap<String, Vec<String>>,
    expires: Option<String>,
}

impl Helper {
    /// Creates a helper from the path of its program.
    pub fn new(program: &Path) -> Self {
        Self { program: program.to_owned(), stall_limit: PATIENCE, answers: Mutex::default() }
    }

    /// Returns the headers for an address.
    ///
    /// # Errors
    /// Fails if the helper cannot be run, fails, times out, or writes an invalid answer. Its output is not quoted,
    /// because it may hold a secret.
    pub fn headers(&self, url: &Url) -> Result<Vec<SecretHeader>, FetchError> {
        self.headers_at(url, &Moment::now())
    }

    fn headers_at(&self, url: &Url, now: &Moment) -> Result<Vec<SecretHeader>, FetchError> {
        let mut answers = self.lock();
        let known = answers.entry(url.root()).or_insert_with(|| self.ask(url, false));
        if known.has_expired(now) {
            *known = self.ask(url, false);
        }
        known.said.clone().map_err(|what| FetchError::Helper { helper: self.program.clone(), what })
    }

    /// Returns true if there is a newer answer for a server that refused one (401).
    ///
    /// * `since`: time at which the refused answer was sent
    pub(crate) fn renews(&self, url: &Url, since: Instant) -> bool {
        let mut answers = self.lock();
        let Some(known) = answers.get_mut(&url.root()) else { return false };
        // Several threads that were refused at the same time share one renewal.
        if known.at.steady > since {
            return true;
        }
        let says_something = known.said.as_ref().is_ok_and(|headers| !headers.is_empty());
        let is_worthwhile = says_something && !(known.is_renewal && known.at.steady.elapsed() < RENEWED);
        if is_worthwhile {
            *known = self.ask(url, true);
        }
        is_worthwhile
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Known>> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ask(&self, url: &Url, is_renewal: bool) -> Known {
        let answer = self.run(url);
        let at = Moment::now();
        let expires = answer.as_ref().ok().and_then(|answer| rfc_3339(answer.expires.as_deref()?));
        let lifetime = expires.map(|expires| Lifetime::until(at, expires));
        let header = |(name, values): (String, Vec<String>)| {
            values
                .into_iter()
                .map(move |value| SecretHeader { name: name.clone(), value: Secret::new(&value) })
        };
        let said = answer.map(|answer| answer.headers.into_iter().flat_map(header).collect());
        Known { said, at, lifetime, is_renewal }
    }

    /// Runs the program. The error describes its failure.
    fn run(&self, url: &Url) -> Result<Answer, String> {
        let start = Instant::now();
        let mut child = Command::new(&self.program)
            .arg("get")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("cannot be run: {error}"))?;
        let request = serde_json::json!({ "uri": url.full() }).to_string();
        if let Some(mut stdin) = child.stdin.take() {
            // A helper may answer without reading its input.
            drop(stdin.write_all(request.as_bytes()));
        }
        let stdout = child.stdout.take();
        let (sender, text) = mpsc::channel();
        std::thread::spawn(move || {
            let mut text = Vec::new();
            let read = stdout.map(|stdout| stdout.take(MAX_ANSWER).read_to_end(&mut text));
            // The receiver is gone if the helper was too late.
            drop(sender.send(read.map(|_| text).unwrap_or_default()));
        });
        let late = || format!("did not answer within {} s", self.stall_limit.as_secs_f32());
        if !ended(&mut child, self.stall_limit).map_err(|error| format!("cannot be waited for: {error}"))? {
            return Err(late());
        }
        let status = child.wait().map_err(|error| format!("cannot be waited for: {error}"))?;
        if !status.success() {
            return Err(format!("failed for `{url}` with {status}; run it by hand to see why"));
        }
        // A background process that the helper left behind may keep its output open.
        let text = text.recv_timeout(self.stall_limit.saturating_sub(start.elapsed())).map_err(|_| late())?;
        serde_json::from_slice(&text)
            .map_err(|error| format!("did not answer with `headers` in JSON: {}", kind(&error)))
    }
}

impl Known {
    fn has_expired(&self, now: &Moment) -> bool {
        let has_ended = self.lifetime.is_some_and(|lifetime| lifetime.has_ended(now));
        has_ended && now.steady.saturating_duration_since(self.at.steady) >= KEPT
    }
}

/// Description of a JSON error that quotes nothing of the text.
fn kind(error: &serde_json::Error) -> &'static str {
    match error.classify() {
        Category::Eof => "it ends too early",
        Category::Data => "a value has the wrong type",
        Category::Io | Category::Syntax => "it is not JSON",
    }
}

/// Waits for the helper to exit; returns `false` if it was killed because of the timeout.
fn ended(child: &mut Child, stall_limit: Duration) -> std::io::Result<bool> {
    let start = Instant::now();
    while child.try_wait()?.is_none() {
        if start.elapsed() > stall_limit {
            child.kill()?;
            child.wait()?;
            return Ok(false);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(true)
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::calendar::basic;

    fn helper(dir: &Path, script: &str) -> Helper {
        let (text, path) = (dir.join("text"), dir.join("helper"));
        std::fs::write(&text, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&text, std::fs::Permissions::from_mode(0o755)).unwrap();
        // A file that another test's child process holds open for writing cannot be executed; a copy made by another
        // process can.
        assert!(Command::new("cp").arg("-p").args([&text, &path]).status().unwrap().success());
        Helper::new(&path)
    }

    #[test]
    fn the_helper_runs_once_per_server() {
        let dir = tempfile::tempdir().unwrap();
        let seen = dir.path().join("seen");
        let script = format!(
            "echo \"$1\" >> {0}; cat >> {0}; echo '{{\"headers\":{{\"Authorization\":[\"Bearer s3\"]}}}}'",
            seen.display()
        );
        let helper = helper(dir.path(), &script);
        for path in ["a", "b"] {
            let url = Url::parse(&format!("https://h/{path}")).unwrap();
            let headers = helper.headers(&url).unwrap();
            assert_eq!((headers[0].name.as_str(), headers[0].value.open()), ("Authorization", "Bearer s3"));
        }
        assert_eq!(std::fs::read_to_string(seen).unwrap(), "get\n{\"uri\":\"https://h/a\"}");
    }

    #[test]
    fn output_of_a_helper_is_not_quoted() {
        let dir = tempfile::tempdir().unwrap();
        let url = Url::parse("https://h/").unwrap();
        for script in ["echo token-1", "echo '{\"headers\": \"token-1\"}'", "echo token-1 >&2; exit 3"] {
            let error = helper(dir.path(), script).headers(&url).unwrap_err().to_string();
            assert!(error.starts_with("The credential helper") && !error.contains("token-1"), "{error}");
        }
        let error = Helper::new(Path::new("/no/such/helper")).headers(&url).unwrap_err().to_string();
        assert!(error.contains("cannot be run"), "{error}");
    }

    /// A helper that numbers its answers and lets them expire at a given time.
    fn counting(dir: &Path, expires: &str) -> Helper {
        let script = format!(
            "echo >> {0}/runs; n=$(wc -l < {0}/runs)\n\
             echo \"{{\\\"headers\\\":{{\\\"A\\\":[\\\"$n\\\"]}},\\\"expires\\\":\\\"{expires}\\\"}}\"",
            dir.display()
        );
        helper(dir, &script)
    }

    fn reported(helper: &Helper, url: &Url) -> String {
        helper.headers(url).unwrap()[0].value.open().trim().to_owned()
    }

    /// Simulates the passing of time since the helper's answer.
    fn pass(helper: &Helper, time: Duration) {
        for known in helper.lock().values_mut() {
            known.at.steady = known.at.steady.checked_sub(time).unwrap();
        }
    }

    #[test]
    fn all_threads_share_one_wait_for_a_hanging_helper() {
        let dir = tempfile::tempdir().unwrap();
        let url = Url::parse("https://h/").unwrap();
        let seen = dir.path().join("seen");
        let mut helper = helper(dir.path(), &format!("echo >> {}; exec sleep 60", seen.display()));
        helper.stall_limit = Duration::from_millis(300);
        std::thread::scope(|scope| {
            for _ in 0..16 {
                scope.spawn(|| {
                    let error = helper.headers(&url).unwrap_err().to_string();
                    assert!(error.contains("did not answer within 0.3 s"), "{error}");
                });
            }
        });
        assert_eq!(std::fs::read_to_string(seen).unwrap(), "\n");
    }

    #[test]
    fn background_processes_of_a_helper_are_not_awaited() {
        let dir = tempfile::tempdir().unwrap();
        let mut helper = helper(dir.path(), "echo '{}'; sleep 60 &");
        helper.stall_limit = Duration::from_millis(300);
        let error = helper.headers(&Url::parse("https://h/").unwrap()).unwrap_err().to_string();
        assert!(error.contains("did not answer within 0.3 s"), "{error}");
    }

    #[test]
    fn an_expired_answer_is_renewed() {
        let dir = tempfile::tempdir().unwrap();
        let url = Url::parse("https://h/").unwrap();
        let helper = counting(dir.path(), "2020-02-20T20:20:20+01:00");
        assert_eq!((reported(&helper, &url), reported(&helper, &url)), ("1".to_owned(), "1".to_owned()));
        pass(&helper, KEPT);
        assert_eq!(reported(&helper, &url), "2");
        for lasting in ["2999-01-01T00:00:00Z", "soon"] {
            let dir = tempfile::tempdir().unwrap();
            let helper = counting(dir.path(), lasting);
            assert_eq!(reported(&helper, &url), "1");
            pass(&helper, KEPT);
            assert_eq!(reported(&helper, &url), "1");
        }
    }

    #[test]
    fn an_answer_expires_even_if_the_clock_is_set_back() {
        let dir = tempfile::tempdir().unwrap();
        let url = Url::parse("https://h/").unwrap();
        let before = Moment::now();
        let at = basic(before.wall + 2 * RENEWED);
        let [year, month, day] = [&at[..4], &at[4..6], &at[6..8]];
        let [hour, minute, second] = [&at[9..11], &at[11..13], &at[13..15]];
        let helper = counting(dir.path(), &format!("{year}-{month}-{day}T{hour}:{minute}:{second}Z"));
        let reported = |steady: Duration| {
            let now = Moment { steady: before.steady + steady, wall: std::time::SystemTime::UNIX_EPOCH };
            helper.headers_at(&url, &now).unwrap()[0].value.open().trim().to_owned()
        };
        assert_eq!((reported(Duration::ZERO), reported(RENEWED)), ("1".to_owned(), "1".to_owned()));
        assert_eq!(reported(3 * RENEWED), "2");
    }

    #[test]
    fn a_refused_answer_is_renewed_once() {
        let dir = tempfile::tempdir().unwrap();
        let url = Url::parse("https://h/").unwrap();
        let helper = counting(dir.path(), "2999-01-01T00:00:00Z");
        assert!(!helper.renews(&url, Instant::now()));
        assert_eq!(reported(&helper, &url), "1");
        let since = Instant::now();
        // Several threads that were refused at the same time.
        assert!(helper.renews(&url, since) && helper.renews(&url, since));
        assert_eq!(reported(&helper, &url), "2");
        assert!(!helper.renews(&url, Instant::now()));
        pass(&helper, RENEWED);
        assert!(helper.renews(&url, Instant::now()));
        assert_eq!(reported(&helper, &url), "3");
    }
}
