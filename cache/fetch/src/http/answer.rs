//! A server's response, which is untrusted: short texts are bounded, and explanations of refusals are shown without the
//! credentials that were sent.

use std::io::{self, Read};
use std::time::{Duration, Instant};

use ureq::Body;
use ureq::http::{HeaderMap, Response};

use crate::calendar::http_date;
use crate::error::FetchError;
use crate::http::auth_headers::AuthHeaders;
use crate::http::explanation::{json_error, printable, xml_error};
use crate::http::refusal::Refusal;
use crate::http::watched::Watched;
use crate::secret::header::SecretHeader;
use crate::stall_limit::{StallLimit, StallReader};
use crate::url::Url;

/// A short response must be complete within this many idle timeouts.
const SHORT: u32 = 2;

/// Limit on the characters shown of a server's explanation.
const MAX_EXPLANATION: usize = 300;

/// A server's response.
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The responding address, after redirects.
    pub url: Url,
    headers: HeaderMap,
    sent: Vec<SecretHeader>,
    /// True if the user was authenticated to the original server, so that the bytes are not public.
    pub is_private: bool,
    /// Time limit for a short response.
    short_time: Duration,
    /// The body.
    pub body: StallReader<Box<dyn Read + Send>>,
}

impl Answer {
    /// Wraps a response to a request with these headers.
    pub(crate) fn new(
        url: &Url,
        response: Response<Body>,
        reported: AuthHeaders,
        stall_limit: &StallLimit,
    ) -> Self {
        let AuthHeaders { headers: sent, is_private } = reported;
        let status = response.status().as_u16();
        let (parts, body) = response.into_parts();
        let short_time = stall_limit.idle.saturating_mul(SHORT);
        let body: Box<dyn Read + Send> = Box::new(Watched::new(body.into_reader(), short_time));
        let body = StallReader::new(body, stall_limit.idle);
        Self { status, url: url.clone(), headers: parts.headers, sent, is_private, short_time, body }
    }

    /// Reads a short response in full, within a time limit: a server must not block the caller for a few bytes.
    ///
    /// # Errors
    /// Fails if it breaks off, exceeds the time limit, or is longer than `limit` bytes.
    pub(crate) fn short(&mut self, limit: u64) -> Result<Vec<u8>, Refusal> {
        let bytes = self.beginning(limit + 1).map_err(|error| Refusal::broken(&self.url, &error))?;
        if bytes.len() as u64 > limit {
            let what = format!("sent more than {limit} bytes, which is the limit for such an answer");
            return Err(FetchError::InvalidResponse { url: self.url.clone(), what }.into());
        }
        Ok(bytes)
    }

    /// Same as `short`, as text.
    ///
    /// # Errors
    /// Same as `short`, and fails if the bytes are not text.
    pub fn short_text(mut self, limit: u64) -> Result<String, FetchError> {
        let bytes = self.short(limit).map_err(|refusal| *refusal.error)?;
        let what = "sent bytes that are not text".to_owned();
        String::from_utf8(bytes).map_err(|_| FetchError::InvalidResponse { url: self.url.clone(), what })
    }

    /// Reads up to `limit` bytes.
    fn beginning(&mut self, limit: u64) -> io::Result<Vec<u8>> {
        let (began, mut bytes) = (Instant::now(), Vec::new());
        let mut buffer = vec![0; 16 << 10];
        loop {
            let room = usize::try_from(limit - bytes.len() as u64).unwrap_or(usize::MAX).min(buffer.len());
            let n_read = match self.body.read(&mut buffer[..room]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                read => read?,
            };
            if n_read == 0 {
                return Ok(bytes);
            }
            bytes.extend_from_slice(&buffer[..n_read]);
            if began.elapsed() > self.short_time {
                let what =
                    format!("only {} bytes arrived in {} s", bytes.len(), began.elapsed().as_secs_f32());
                return Err(io::Error::new(io::ErrorKind::TimedOut, what));
            }
        }
    }

    /// A header, if it occurs once and is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.get_all(name).iter();
        let first = values.next()?.to_str().ok()?;
        values.next().is_none().then(|| first.trim())
    }

    /// Checks that the body is not encoded.
    ///
    /// # Errors
    /// Fails if the body is compressed, which was not requested.
    pub fn check_plain(&self) -> Result<(), FetchError> {
        match self.headers.get("content-encoding").map(|value| value.to_str().unwrap_or("?")) {
            None | Some("identity" | "") => Ok(()),
            Some(coding) => {
                let what = format!(
                    "sent the bytes in the encoding `{}`, expected them unencoded",
                    printable(coding)
                );
                Err(FetchError::InvalidResponse { url: self.url.clone(), what })
            }
        }
    }

    /// Returns the response unless its status is a refusal.
    pub(crate) fn accepted(self, stall_limit: &StallLimit) -> Result<Self, Refusal> {
        match self.status {
            200..=299 => Ok(self),
            _ => Err(self.refusal(stall_limit)),
        }
    }

    /// Converts a refusing response into an error.
    pub(crate) fn refusal(mut self, stall_limit: &StallLimit) -> Refusal {
        let (url, status) = (self.url.clone(), self.status);
        let message = self.explanation();
        let date = self.header("date").and_then(http_date);
        let after = self.header("retry-after").and_then(|text| retry_after(text, date));
        let error = match status {
            401 | 403 => FetchError::Denied { url, status, message },
            404 | 410 => FetchError::Missing { url, status, message },
            413 => FetchError::TooLarge { url, message },
            408 | 425 | 429 | 500..=599 => {
                if let Some(seconds) = after.filter(|seconds| *seconds > stall_limit.longest_delay) {
                    let limit = stall_limit.longest_delay;
                    return FetchError::Busy { url, seconds, limit }.into();
                }
                let error = FetchError::Status { url, status, expected: "200", message };
                return Refusal { error: error.into(), is_passing: true, is_silence: false, after };
            }
            _ => FetchError::Status { url, status, expected: "200", message },
        };
        error.into()
    }

    /// The server's explanation of its refusal, without the secrets that it was sent.
    fn explanation(&mut self) -> String {
        let said = match self.header("x-error-message") {
            Some(said) => said.to_owned(),
            None => {
                // An unreadable explanation is treated as absent.
                let body = self.beginning(4096).unwrap_or_default();
                json_error(&body).or_else(|| xml_error(&body)).unwrap_or_default()
            }
        };
        let mut said = printable(&said);
        for header in &self.sent {
            for secret in [header.value.open(), header.value.open().rsplit(' ').next().unwrap_or_default()] {
                if !secret.is_empty() {
                    said = said.replace(secret, "***");
                }
            }
        }
        for secret in self.url.secrets() {
            said = said.replace(secret, "***");
        }
        said.chars().take(MAX_EXPLANATION).collect()
    }
}

/// Parses `Retry-After`: seconds, or a date. A date is compared with the server's own `Date`, so that this machine's
/// clock does not matter; without `Date` it is ignored.
fn retry_after(text: &str, date: Option<u64>) -> Option<Duration> {
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    Some(Duration::from_secs(http_date(text)?.saturating_sub(date?)))
}

#[test]
fn retry_after_is_relative_to_the_servers_clock() {
    assert_eq!(retry_after("7", None), Some(Duration::from_secs(7)));
    // The result does not depend on this machine's clock.
    let at = "Sun, 06 Nov 1994 08:49:37 GMT";
    assert_eq!(retry_after(at, Some(784_111_770)), Some(Duration::from_secs(7)));
    assert_eq!(retry_after(at, Some(784_111_780)), Some(Duration::ZERO));
    assert_eq!(retry_after(at, None), None);
}
