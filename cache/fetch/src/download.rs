//! One file: from the byte where it stopped last time to the end, hashed while it comes, verified as a whole.
//!
//! What is there already is believed no more than what comes: the digest is over all of it. A server that sends
//! another version, ignores what was asked or contradicts itself costs a start from the first byte, once; bytes that
//! differ then are refused, and nothing of them stays. A connection that ends early is taken up again as long as
//! every try brings the file forward.

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

/// A try that brought fewer bytes than this counts as one that brought nothing.
const PROGRESS: u64 = 64 << 10;

/// A file of unknown length may have this many bytes.
const MAX_UNANNOUNCED: u64 = 1 << 30;

const CHUNK: usize = 256 << 10;

/// Brings a file here. `told` gets the number of bytes as they come.
///
/// # Errors
/// When the server cannot be asked, gives up for good, or sends other bytes than expected.
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

/// A download, between two tries or within one.
struct Transfer<'a> {
    client: &'a Client,
    origin: &'a Origin,
    file: &'a RemoteFile,
    part: &'a Part,
    reported: &'a (dyn Fn(u64) + Sync),
    checking: Checking,
    version: Version,
    /// Whether the bytes come from more than one answer.
    is_pieced: bool,
}

/// Which version of a file a server is sending.
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
        // When nothing could tell whether a whole file is the right one, its last byte is asked for again: the
        // server then says whether it still has that version.
        let is_whole = file.expected.n_bytes.or(transfer.version.n_bytes) == Some(n_bytes);
        let kept = if is_whole && !is_certain { n_bytes.saturating_sub(1) } else { n_bytes };
        transfer.take_up(kept)?;
        Ok(transfer)
    }

    fn n_bytes(&self) -> u64 {
        self.checking.n_bytes()
    }

    /// Hashes the first bytes of what is there, and cuts off the rest.
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

    /// Forgets what came so far.
    fn restart(&mut self) -> Result<(), FetchError> {
        self.part.forget()?;
        self.checking = Checking::new(&self.file.expected);
        self.version = Version::default();
        self.is_pieced = false;
        Ok(())
    }

    /// Asks for what is missing and writes it down.
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
            416 => return Err(self.distrust("has no bytes from where the last connection ended".to_owned())?),
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

    /// The version of an answer that goes on where the last one ended; what it contradicts, when it does.
    fn continued(&self, answer: &Answer) -> Result<Version, String> {
        let text = answer.header("content-range").ok_or("sent a part and does not say which")?;
        let range = content_range(text).ok_or_else(|| format!("sent the part `{text}`, which is none"))?;
        let (start, end, total) = range;
        if start != self.n_bytes() || end < start || total.is_some_and(|total| end >= total) {
            return Err(format!("sent the part `{text}`, asked for the bytes from {} on", self.n_bytes()));
        }
        if let (Some(before), Some(total)) = (self.version.n_bytes, total)
            && before != total
        {
            return Err(format!("has a file of {total} bytes now, and had one of {before}"));
        }
        let tag = strong_tag(answer);
        if tag.is_some() && self.version.tag.is_some() && tag != self.version.tag {
            return Err("sent a part of another version".to_owned());
        }
        Ok(Version { tag: tag.or(self.version.tag.clone()), n_bytes: total.or(self.version.n_bytes) })
    }

    /// Starts over because of what a server says about the part that is here.
    fn distrust(&mut self, what: String) -> Result<Refusal, FetchError> {
        self.restart()?;
        let error = FetchError::InvalidResponse { url: self.file.url.clone(), what };
        Ok(Refusal { is_passing: true, ..error.into() })
    }

    /// Whether the answer is about the file that is expected, and says how long it is.
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
                "does not say how long the file is, so nobody could tell whether it is whole".to_owned(),
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

    /// The digest of a whole file; `None` when it is pieced together wrongly and was given up.
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

/// A tag that stands for the very bytes, and fits a line and a header.
fn strong_tag(answer: &Answer) -> Option<String> {
    let tag = answer.header("etag")?;
    let is_plain = tag.len() <= 256 && tag.bytes().all(|byte| byte.is_ascii_graphic());
    (tag.len() > 2 && tag.starts_with('"') && tag.ends_with('"') && is_plain).then(|| tag.to_owned())
}

fn length(answer: &Answer, name: &str) -> Result<Option<u64>, FetchError> {
    let number = |text: &str| {
        text.parse().map_err(|_| {
            let what = "says how long the file is in something that is no number".to_owned();
            FetchError::InvalidResponse { url: answer.url.clone(), what }
        })
    };
    answer.header(name).map(number).transpose()
}

/// First byte, last byte and length of `bytes 0-4/10`.
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
