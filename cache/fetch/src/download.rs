//! Download of one file: resumes at the byte where it stopped, hashes the stream, and verifies the whole file.
//!
//! The digest covers all bytes, so existing bytes are trusted no more than new ones. If a server sends another version,
//! ignores the range or contradicts itself, the download starts over once; if the bytes then differ again, they are
//! rejected and removed. A connection that ends early is resumed as long as every try makes progress.

use std::fs::File;
use std::io::{self, Read, Write};

use mc_digest::digest::BlobDigest;
use mc_files::status::Kind;
use mc_ir::origin::Origin;

use crate::area::Part;
use crate::checksum::Checking;
use crate::client::Client;
use crate::error::FetchError;
use crate::http::answer::Answer;
use crate::http::ask::{Access, Ask};
use crate::http::refusal::Refusal;
use crate::origins::listing::RemoteFile;

/// Tries that receive fewer bytes count as no progress.
const PROGRESS: u64 = 64 << 10;

/// Limit on the bytes of a file of unknown length.
const MAX_UNANNOUNCED: u64 = 1 << 30;

const CHUNK: usize = 256 << 10;

/// Downloads a file. Calls `reported` with the number of bytes as they arrive.
///
/// # Errors
/// Fails if the server cannot be reached, refuses permanently, or sends unexpected bytes.
pub fn download(
    client: &Client,
    origin: &Origin,
    file: &RemoteFile,
    part: &Part,
    reported: &(dyn Fn(u64) + Sync),
) -> Result<BlobDigest, FetchError> {
    let mut transfer = Transfer::open(client, origin, file, part, reported)?;
    let (mut n_failed, mut furthest) = (0, 0);
    loop {
        match transfer.attempt() {
            Ok(()) => {
                if let Some(digest) = transfer.verified()? {
                    return Ok(digest);
                }
            }
            Err(refusal) => {
                if transfer.n_bytes() >= furthest + PROGRESS {
                    n_failed = 0;
                }
                furthest = furthest.max(transfer.n_bytes());
                n_failed += 1;
                refusal.wait(client.stall_limit(), n_failed)?;
            }
        }
    }
}

/// A download in progress.
struct Transfer<'a> {
    client: &'a Client,
    origin: &'a Origin,
    file: &'a RemoteFile,
    part: &'a Part,
    reported: &'a (dyn Fn(u64) + Sync),
    checking: Checking,
    version: Version,
    /// True if the bytes come from more than one response.
    is_pieced: bool,
}

/// The version of a file that a server is sending.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Version {
    /// Its strong entity tag.
    tag: Option<String>,
    /// Its length.
    n_bytes: Option<u64>,
}

impl<'a> Transfer<'a> {
    fn open(
        client: &'a Client,
        origin: &'a Origin,
        file: &'a RemoteFile,
        part: &'a Part,
        reported: &'a (dyn Fn(u64) + Sync),
    ) -> Result<Self, FetchError> {
        let checking = Checking::new(&file.expected);
        let version = Version::read(part);
        let mut transfer = Self { client, origin, file, part, reported, checking, version, is_pieced: false };
        let Some(status) = part.status() else { return Ok(transfer) };
        let n_bytes = status.n_bytes;
        let is_certain = file.expected.is_certain();
        let is_usable = status.kind == Kind::File
            && file.expected.n_bytes.is_none_or(|expected| n_bytes <= expected)
            && (is_certain || transfer.version.tag.is_some());
        if !is_usable {
            transfer.restart()?;
            return Ok(transfer);
        }
        // If no digest can confirm a complete file, its last byte is requested again: the response shows whether the
        // server still has that version.
        let is_whole = file.expected.n_bytes.or(transfer.version.n_bytes) == Some(n_bytes);
        let kept = if is_whole && !is_certain { n_bytes.saturating_sub(1) } else { n_bytes };
        transfer.take_up(kept)?;
        Ok(transfer)
    }

    fn n_bytes(&self) -> u64 {
        self.checking.n_bytes()
    }

    /// Hashes the first `n_bytes` of the existing data and truncates the rest.
    fn take_up(&mut self, n_bytes: u64) -> Result<(), FetchError> {
        let failed = |error| FetchError::io("read", &self.part.path(), error);
        let mut bytes = self.part.read().map_err(failed)?.take(n_bytes);
        let mut buffer = vec![0; CHUNK];
        loop {
            match bytes.read(&mut buffer).map_err(failed)? {
                0 => break,
                n_read => self.checking.update(&buffer[..n_read]),
            }
        }
        self.is_pieced = self.n_bytes() > 0;
        if self.part.status().is_some_and(|status| status.n_bytes > n_bytes) {
            let cut = self.part.append().and_then(|file| file.set_len(n_bytes));
            cut.map_err(|error| FetchError::io("shorten", &self.part.path(), error))?;
        }
        Ok(())
    }

    /// Discards the bytes received so far.
    fn restart(&mut self) -> Result<(), FetchError> {
        self.part.forget()?;
        self.checking = Checking::new(&self.file.expected);
        self.version = Version::default();
        self.is_pieced = false;
        Ok(())
    }

    /// Requests the missing bytes and writes them.
    fn attempt(&mut self) -> Result<(), Refusal> {
        let expected = &self.file.expected;
        let mut output = self.output()?;
        if expected.is_certain() && expected.n_bytes == Some(self.n_bytes()) {
            return Ok(());
        }
        let tag = self.version.tag.clone();
        let ask = Ask {
            from: self.n_bytes(),
            if_range: tag.as_deref(),
            access: match self.origin {
                Origin::Oci { .. } => Access::Registry,
                Origin::HuggingFace { .. } | Origin::Http { .. } => Access::Server,
            },
            ..Ask::whole(&self.file.url)
        };
        let mut answer = self.client.get(&ask)?;
        answer.check_plain()?;
        if answer.is_private {
            self.part.keep_private()?;
        }
        let version = match answer.status {
            200 => {
                if self.n_bytes() > 0 {
                    self.restart()?;
                    output = self.output()?;
                }
                Version { tag: strong_tag(&answer), n_bytes: length(&answer, "content-length")? }
            }
            206 if self.n_bytes() > 0 => match self.continued(&answer) {
                Ok(version) => {
                    self.is_pieced = true;
                    version
                }
                Err(what) => return Err(self.distrust(what)?),
            },
            416 => return Err(self.distrust("has no bytes beyond those already received".to_owned())?),
            status => {
                let (url, message) = (self.file.url.clone(), String::new());
                return Err(FetchError::Status { url, status, expected: "200 or 206", message }.into());
            }
        };
        self.agree(&answer, &version)?;
        self.version = version;
        self.version.write(self.part)?;
        self.copy(&mut answer, &mut output)
    }

    /// Returns the version of a response that resumes the download. The error describes a contradiction.
    fn continued(&self, answer: &Answer) -> Result<Version, String> {
        let text = answer.header("content-range").ok_or("sent a part without its range")?;
        let range = content_range(text).ok_or_else(|| format!("sent the invalid range `{text}`"))?;
        let (start, end, total) = range;
        if start != self.n_bytes() || end < start || total.is_some_and(|total| end >= total) {
            return Err(format!("sent the range `{text}`, expected the bytes from {} on", self.n_bytes()));
        }
        if let (Some(before), Some(total)) = (self.version.n_bytes, total)
            && before != total
        {
            return Err(format!("reports a file of {total} bytes now and {before} bytes before"));
        }
        let tag = strong_tag(answer);
        if tag.is_some() && self.version.tag.is_some() && tag != self.version.tag {
            return Err("sent a part of another version".to_owned());
        }
        Ok(Version { tag: tag.or(self.version.tag.clone()), n_bytes: total.or(self.version.n_bytes) })
    }

    /// Starts over because the server's response does not fit the existing part.
    fn distrust(&mut self, what: String) -> Result<Refusal, FetchError> {
        self.restart()?;
        let error = FetchError::InvalidResponse { url: self.file.url.clone(), what };
        Ok(Refusal { is_passing: true, ..error.into() })
    }

    /// Checks that the response is about the expected file and states its length.
    fn agree(&self, answer: &Answer, version: &Version) -> Result<(), FetchError> {
        let invalid_response =
            |what: String| Err(FetchError::InvalidResponse { url: self.file.url.clone(), what });
        match (self.file.expected.n_bytes, version.n_bytes) {
            (Some(expected), Some(found)) if expected != found => {
                self.part.forget()?;
                invalid_response(format!(
                    "has a file of {found} bytes, expected {expected}; nothing of it was kept"
                ))
            }
            (None, None) if answer.header("transfer-encoding").is_none() => invalid_response(
                "does not state the length of the file, so it cannot be checked for completeness".to_owned(),
            ),
            _ => Ok(()),
        }
    }

    fn copy(&mut self, answer: &mut Answer, output: &mut File) -> Result<(), Refusal> {
        let url = &self.file.url;
        let end = self.file.expected.n_bytes.or(self.version.n_bytes);
        let mut buffer = vec![0; CHUNK];
        loop {
            let n_read = match answer.body.read(&mut buffer) {
                Ok(0) => break,
                Ok(n_read) => n_read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(Refusal::broken(url, &error)),
            };
            let bytes = &buffer[..n_read];
            if self.n_bytes() + n_read as u64 > end.unwrap_or(MAX_UNANNOUNCED) {
                self.part.forget()?;
                let what = format!(
                    "sent more than {} bytes; nothing of it was kept",
                    end.unwrap_or(MAX_UNANNOUNCED)
                );
                return Err(FetchError::InvalidResponse { url: url.clone(), what }.into());
            }
            output.write_all(bytes).map_err(|error| FetchError::io("write", &self.part.path(), error))?;
            self.checking.update(bytes);
            (self.reported)(n_read as u64);
        }
        match end {
            Some(end) if self.n_bytes() < end => {
                let reason = format!("it ended after {} of {end} bytes", self.n_bytes());
                Err(Refusal::connection(url, &reason, true))
            }
            _ => Ok(()),
        }
    }

    /// Returns the digest of the complete file; `None` if it was assembled wrongly and discarded.
    fn verified(&mut self) -> Result<Option<BlobDigest>, FetchError> {
        let (expected, found) = match self.checking.clone().finish(&self.file.expected) {
            Ok(digest) => return Ok(Some(digest)),
            Err(difference) => difference,
        };
        let was_pieced = self.is_pieced;
        self.restart()?;
        if was_pieced {
            return Ok(None);
        }
        let (origin, file) = (self.origin.to_string(), self.file.name.clone());
        Err(FetchError::Differs { origin, file, expected, found })
    }

    fn output(&self) -> Result<File, FetchError> {
        self.part.append().map_err(|error| FetchError::io("open", &self.part.path(), error))
    }
}

impl Version {
    fn read(part: &Part) -> Self {
        let text = part.state();
        let line = |key: &str| text.lines().find_map(|line| line.strip_prefix(key));
        Self {
            tag: line("tag ").map(str::to_owned),
            n_bytes: line("bytes ").and_then(|digits| digits.parse().ok()),
        }
    }

    fn write(&self, part: &Part) -> Result<(), FetchError> {
        let mut text = String::new();
        if let Some(tag) = &self.tag {
            text.push_str(&format!("tag {tag}\n"));
        }
        if let Some(n_bytes) = self.n_bytes {
            text.push_str(&format!("bytes {n_bytes}\n"));
        }
        part.set_state(&text)
    }
}

/// A strong entity tag that fits into one line and into a header.
fn strong_tag(answer: &Answer) -> Option<String> {
    let tag = answer.header("etag")?;
    let is_plain = tag.len() <= 256 && tag.bytes().all(|byte| byte.is_ascii_graphic());
    (tag.len() > 2 && tag.starts_with('"') && tag.ends_with('"') && is_plain).then(|| tag.to_owned())
}

fn length(answer: &Answer, name: &str) -> Result<Option<u64>, FetchError> {
    let number = |text: &str| {
        text.parse().map_err(|_| {
            let what = "states a file length that is not a number".to_owned();
            FetchError::InvalidResponse { url: answer.url.clone(), what }
        })
    };
    answer.header(name).map(number).transpose()
}

/// Parses first byte, last byte and length from a text such as `bytes 0-4/10`.
fn content_range(text: &str) -> Option<(u64, u64, Option<u64>)> {
    let (range, total) = text.strip_prefix("bytes ")?.split_once('/')?;
    let (start, end) = range.split_once('-')?;
    let total = if total == "*" { None } else { Some(total.parse().ok()?) };
    Some((start.parse().ok()?, end.parse().ok()?, total))
}

#[test]
fn ranges_are_read() {
    assert_eq!(content_range("bytes 5-9/10"), Some((5, 9, Some(10))));
    assert_eq!(content_range("bytes 5-9/*"), Some((5, 9, None)));
    for wrong in
        ["", "bytes 5-9", "bytes */10", "items 0-1/2", "bytes -1-2/3", "bytes 1-99999999999999999999/3"]
    {
        assert_eq!(content_range(wrong), None, "{wrong}");
    }
}
