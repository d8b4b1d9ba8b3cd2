//! Credential helpers: programs that know the headers for an address.
//!
//! The protocol is Bazel's: `HELPER get` reads `{"uri": "https://…"}` on its standard input and writes
//! `{"headers": {"Authorization": ["Bearer …"]}}`. Answers are remembered by server for the life of the process.
//!
//! Source: <https://github.com/EngFlow/credential-helper-spec>.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::error::Category;

use crate::credentials::SecretHeader;
use crate::error::FetchError;
use crate::secret::Secret;
use crate::url::Url;

/// A helper that has said nothing for so long is ended.
const PATIENCE: Duration = Duration::from_secs(10);

/// A longer answer is none.
const MAX_ANSWER: u64 = 1 << 20;

/// A program that knows headers.
#[derive(Debug)]
pub struct Helper {
    program: PathBuf,
    answers: Mutex<BTreeMap<String, Vec<SecretHeader>>>,
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    headers: BTreeMap<String, Vec<String>>,
}

impl Helper {
    /// The helper at a path.
    pub fn new(program: &Path) -> Self {
        Self { program: program.to_owned(), answers: Mutex::default() }
    }

    /// The headers for an address.
    ///
    /// # Errors
    /// When the helper cannot be run, fails, says nothing in time, or says something else. What it wrote is not
    /// repeated, since it may hold a secret.
    pub fn headers(&self, url: &Url) -> Result<Vec<SecretHeader>, FetchError> {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(headers) = answers.get(&url.root()) {
            return Ok(headers.clone());
        }
        let headers = self.ask(url)?;
        answers.insert(url.root(), headers.clone());
        Ok(headers)
    }

    fn ask(&self, url: &Url) -> Result<Vec<SecretHeader>, FetchError> {
        let failed = |what: String| FetchError::Helper { helper: self.program.clone(), what };
        let mut child = Command::new(&self.program)
            .arg("get")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| failed(format!("cannot be run: {error}")))?;
        let request = serde_json::json!({ "uri": url.full() }).to_string();
        if let Some(mut stdin) = child.stdin.take() {
            // A helper that answers without reading is fine.
            drop(stdin.write_all(request.as_bytes()));
        }
        let stdout = child.stdout.take();
        let reader = std::thread::spawn(move || {
            let mut text = Vec::new();
            let read = stdout.map(|stdout| stdout.take(MAX_ANSWER).read_to_end(&mut text));
            read.map(|_| text).unwrap_or_default()
        });
        let is_done = ended(&mut child).map_err(|error| failed(format!("cannot be waited for: {error}")))?;
        if !is_done {
            return Err(failed(format!("has said nothing for {} s", PATIENCE.as_secs())));
        }
        let status = child.wait().map_err(|error| failed(format!("cannot be waited for: {error}")))?;
        if !status.success() {
            return Err(failed(format!("failed for `{url}` with {status}; run it by hand to see why")));
        }
        let text = reader.join().unwrap_or_default();
        let answer: Answer = serde_json::from_slice(&text)
            .map_err(|error| failed(format!("did not answer with `headers` in JSON: {}", kind(&error))))?;
        let header = |(name, values): (String, Vec<String>)| {
            values
                .into_iter()
                .map(move |value| SecretHeader { name: name.clone(), value: Secret::new(&value) })
        };
        Ok(answer.headers.into_iter().flat_map(header).collect())
    }
}

/// What is wrong with a text that is no JSON of ours, without a word of the text.
fn kind(error: &serde_json::Error) -> &'static str {
    match error.classify() {
        Category::Eof => "it ends too early",
        Category::Data => "a value has the wrong type",
        Category::Io | Category::Syntax => "it is no JSON",
    }
}

/// Waits for the end of the helper; `false` when it was ended for being late.
fn ended(child: &mut Child) -> std::io::Result<bool> {
    let start = Instant::now();
    while child.try_wait()?.is_none() {
        if start.elapsed() > PATIENCE {
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

    fn helper(dir: &Path, script: &str) -> Helper {
        let path = dir.join("helper");
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        Helper::new(&path)
    }

    #[test]
    fn the_helper_is_asked_once_for_a_server() {
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
    fn what_a_helper_wrote_is_not_repeated() {
        let dir = tempfile::tempdir().unwrap();
        let url = Url::parse("https://h/").unwrap();
        for script in ["echo token-1", "echo '{\"headers\": \"token-1\"}'", "echo token-1 >&2; exit 3"] {
            let error = helper(dir.path(), script).headers(&url).unwrap_err().to_string();
            assert!(error.starts_with("The credential helper") && !error.contains("token-1"), "{error}");
        }
        let error = Helper::new(Path::new("/no/such/helper")).headers(&url).unwrap_err().to_string();
        assert!(error.contains("cannot be run"), "{error}");
    }
}
